"""Style, formatting and types."""

from commands import environment, run
from repository import ROOT

INSTALLED = (".venv/.installed", ".venv/.package")  # what make would otherwise install first


def test_make_check_passes():
    as_installed = [word for stamp in INSTALLED for word in ("--old-file", stamp)]
    run("make", *as_installed, "check", cwd=ROOT, env=environment())
