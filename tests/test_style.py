"""Style, formatting and types, as `make check` has them."""

import subprocess
import sys

import pytest
from repository import ROOT

FOLDERS = ("src", "tests", "bench", "tools", "cluster")


@pytest.mark.parametrize(
    "command", [("ruff", "check", *FOLDERS), ("ruff", "format", "--check", *FOLDERS), ("mypy",)], ids=" ".join
)
def test_a_check_passes(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
