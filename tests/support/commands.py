"""Commands run as a user would, with the programs of this Python environment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LIMIT = 600  # seconds
PRE2POST = (sys.executable, "-m", "pre2post")  # the command, with the code that code_of names


def environment(*without: str, **more: str) -> dict[str, str]:
    """Return the user's environment with this Python's programs first, without the paths of these tests.

    without: beginnings of names to leave out as well. more: variables to set.
    """
    dropped = ("PYTHONPATH", *without)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return inherited | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | more


def code_of(checkout: Path) -> dict[str, str]:
    """Return the variable that makes PRE2POST run the code of a checkout.

    The installed command runs the code of the checkout that was installed, which is not that of a clone under test.
    """
    return {"PYTHONPATH": str(checkout / "src")}


def run(
    *command: str | Path,
    cwd: Path,
    expect: int | None = 0,
    env: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> str:
    """Run a command and return both streams of its output.

    Its exit code must be `expect`; None: any but 0. A traceback in the output fails the test.
    """
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment() if env is None else dict(env),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=limit,
    )
    right = done.returncode != 0 if expect is None else done.returncode == expect
    assert right, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
