"""One job: run one stage in its own clone, and leave the result in the shared cache.

    python cluster/work.py STAGE --head PROJECT --commit SHA --scratch FOLDER --before STAGE ...

cluster/run_matrix.py calls this script, directly or through Slurm.
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
# Inputs are linked from the cache, not copied for every job, unless the project sets cache.type. Linked files are
# read-only, and a clone is removed with its job.
LINKS = "reflink,hardlink,symlink,copy"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("--head", required=True, type=Path, help="project whose cache takes the result")
    parser.add_argument("--commit", required=True, help="commit of the project to run")
    parser.add_argument("--before", nargs="*", default=[], help="stages whose outputs this one needs")
    parser.add_argument("--scratch", required=True, type=Path, help="folder of the clone, which is removed at the end")
    parser.add_argument("--exit-code", type=Path, help="file for the exit code; a killed job writes none")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the clone is removed
    folder = options.scratch / options.stage.replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)  # of a killed job
    try:
        code = run_stage(options.stage, folder, options.head, options.commit, options.before)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.exit_code:
        new = options.exit_code.with_suffix(".new")
        new.write_text(str(code))
        new.rename(options.exit_code)
    return code


def run_stage(stage: str, folder: Path, head: Path, commit: str, before: Sequence[str]) -> int:
    """Clone the project, link the inputs from the cache, run the stage; return the first exit code other than 0."""
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
    """Run commands in a folder until one fails; return its exit code, or 0."""
    for command in commands:
        code = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL).returncode
        if code:
            return code
    return 0


def _ask(head: Path, *words: str) -> str:
    """Return the output of a DVC command at the head; empty for a setting without a value."""
    return subprocess.run([*DVC, *words], cwd=head, capture_output=True, text=True).stdout.strip()


def _share(head: Path, folder: Path) -> None:
    """Share the user's local settings of DVC, and the saved states of killed trainings, from which a job resumes."""
    local_config = head / ".dvc" / "config.local"
    if local_config.is_file():
        shutil.copyfile(local_config, folder / ".dvc" / "config.local")
    (head / ".resume").mkdir(exist_ok=True)
    os.symlink((head / ".resume").resolve(), folder / ".resume")


if __name__ == "__main__":
    sys.exit(main())
