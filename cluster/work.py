"""What one job does: run one stage in a clone of its own, and leave the result in the cache that all share.

    python cluster/work.py STAGE --head PROJECT --commit SHA --scratch FOLDER --before STAGE ...

Nobody needs to call this by hand: cluster/run_matrix.py does, also by way of Slurm.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DVC = (sys.executable, "-m", "dvc")
# Inputs are linked from the cache rather than copied for every job, unless the project says otherwise. DVC makes what
# it links read-only, and a clone lives as long as its job.
LINKS = "reflink,hardlink,symlink,copy"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("--head", required=True, type=Path, help="the project whose cache takes the result")
    parser.add_argument("--commit", required=True, help="the state of the project to run")
    parser.add_argument("--before", nargs="*", default=[], help="the stages whose outputs this one needs")
    parser.add_argument("--scratch", required=True, type=Path, help="where the clone goes, and is removed again")
    parser.add_argument("--exit-code", type=Path, help="a file for it, which appears only if nobody ended the job")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the clone is removed
    folder = wanted.scratch / wanted.stage.replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)  # of a job that was killed
    try:
        code = run_stage(wanted.stage, folder, wanted.head, wanted.commit, wanted.before)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if wanted.exit_code:
        new = wanted.exit_code.with_suffix(".new")
        new.write_text(str(code))
        new.rename(wanted.exit_code)
    return code


def run_stage(stage: str, folder: Path, head: Path, commit: str, before: Sequence[str]) -> int:
    """Clones, takes what the stage needs from the cache, runs it; the exit code of the first command that fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    cache = _ask(head, "cache", "dir")
    links = [] if _ask(head, "config", "cache.type") else [[*DVC, "config", "--local", "cache.type", LINKS]]
    clone = [
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(head), str(folder)],
        ["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit],
    ]
    work = [
        [*DVC, "cache", "dir", "--local", str((head / cache).resolve())],
        [*DVC, "config", "--local", "core.site_cache_dir", str(folder / ".dvc" / "site")],
        *links,
        *([[*DVC, "checkout", "--quiet", *before]] if before else []),
        [*DVC, "repro", "--single-item", stage],
    ]
    code = _run_all(clone, head)
    if code:
        return code
    _share(head, folder)
    return _run_all(work, folder)


def _run_all(commands: Sequence[Sequence[str]], folder: Path) -> int:
    """Runs commands in a folder up to the first that fails, whose exit code is returned."""
    for command in commands:
        code = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL).returncode
        if code:
            return code
    return 0


def _ask(head: Path, *words: str) -> str:
    """What DVC says at the head; nothing for a mix that is not made."""
    return subprocess.run([*DVC, *words], cwd=head, capture_output=True, text=True).stdout.strip()


def _share(head: Path, folder: Path) -> None:
    """The user's own mixes of DVC, and the states of trainings that were killed: the next job goes on from them."""
    own = head / ".dvc" / "config.local"
    if own.is_file():
        shutil.copyfile(own, folder / ".dvc" / "config.local")
    (head / ".resume").mkdir(exist_ok=True)
    os.symlink((head / ".resume").resolve(), folder / ".resume")


if __name__ == "__main__":
    sys.exit(main())
