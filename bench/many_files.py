"""Time DVC for a cohort of very many small files, in several ways of storage.

    python bench/many_files.py                  # 50,000 files in 500 folders: ten minutes, 1 GB of disk
    python bench/many_files.py --files 5000     # a first look

Each block is a Git and DVC project of its own with its own cache, made in a temporary folder and removed afterwards.
Files hold random bytes, so nothing is stored once for two. Small files show what counting costs; for large ones add
what it takes to read and write their bytes. `--estimate` scales a row with the number of files, its start left out.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = 100  # files per case
DEFAULT = "reflink,copy"  # what DVC takes by itself
DVC = [sys.executable, "-m", "dvc"]


def main() -> None:
    options = _options()
    parts = {"files": files, "archives": archives, "external": external}
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        with project(Path(work)) as (root, _):
            options.start = min(run(["status"], root)[0] for _ in range(3))
        print(
            f"\n{options.files} files of {options.bytes} bytes, {FOLDER} per folder; DVC {_version()}; "
            f"{options.start:.1f} s of each row are the start of the program\n\n"
            f"| variant | step | seconds | peak memory, MB | files in the cache | at {options.estimate} files, s |\n"
            "|---|---|---|---|---|---|"
        )
        for name in options.parts or parts:
            parts[name](Path(work), options)


def files(work: Path, options: argparse.Namespace) -> None:
    """The folder as it is, with each kind of link between cache and workspace; links do not matter to a push."""
    for kind in (DEFAULT, "hardlink", "symlink"):
        with project(work, f"cache.type {kind}") as (root, rows):
            write_files(root / "data", options)
            row = rows(options, f"files, {kind}")
            row("add, first time", ["add", "data"])
            row("status, nothing changed", ["status"])
            row("status again, nothing changed", ["status"])
            change_one(root / "data")
            row("status, one file changed", ["status"])
            row("add, one file changed", ["add", "data"])
            shutil.rmtree(root / "data")
            row("checkout into an empty workspace", ["checkout"])
            if kind == DEFAULT:
                row("push to a local folder", ["push"])
                row("push, nothing new", ["push"])


def archives(work: Path, options: argparse.Namespace) -> None:
    """Time one uncompressed archive per case."""
    with project(work) as (root, rows):
        write_files(work / "plain", options)
        row = rows(options, f"one tar per case ({options.files // FOLDER})")
        row("make the archives", lambda: pack(work / "plain", root / "data"))
        row("add, first time", ["add", "data"])
        row("status, nothing changed", ["status"])
        change_one(work / "plain")
        row("make one archive again", lambda: pack(work / "plain", root / "data", count=1))
        row("status, one archive changed", ["status"])
        row("add, one archive changed", ["add", "data"])
        shutil.rmtree(root / "data")
        row("checkout into an empty workspace", ["checkout"])
        row("push to a local folder", ["push"])
        row("push, nothing new", ["push"])
        row("unpack the archives", lambda: unpack(root / "data", work / "unpacked"))
        shutil.rmtree(work / "plain")
        shutil.rmtree(work / "unpacked")


def external(work: Path, options: argparse.Namespace) -> None:
    """Files that stay outside the project: all that DVC 3.67 offers for them; `dvc add` alone refuses them.

    Only `dvc update` sees what changes outside: `dvc status` compares the workspace with what was imported.
    """
    source = work / "outside"
    write_files(source, options)
    for variant, command in {
        "import-url": ["import-url", str(source), "data"],
        "import-url --no-download": ["import-url", "--no-download", str(source), "data"],
        "add --out": ["add", "--out", "data", str(source)],
        "add --to-remote": ["add", "--to-remote", "--out", "data", str(source)],
    }.items():
        with project(work) as (_, rows):
            row = rows(options, variant)
            row("first time", command)
            row("status, nothing changed", ["status"])
            if command[0] == "import-url":
                change_one(source)
                row(
                    "update, one file changed outside",
                    ["update", *(["--no-download"] if "--no-download" in command else []), "data.dvc"],
                )
    shutil.rmtree(source)


@contextmanager
def project(work: Path, *settings: str) -> Iterator:
    """Yield the folder of a new project with a remote next to it, and a function for its rows; then remove all."""
    root, remote, state = (work / name for name in ("project", "remote", "state"))
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    run(["init", "-q"], root)
    for setting in ("core.analytics false", f"core.site_cache_dir {state}", *settings):
        run(["config", *setting.split()], root)
    run(["remote", "add", "-q", "-d", "local", str(remote)], root)

    def rows_of(options: argparse.Namespace, variant: str):
        return lambda step, action: print_row(options, root, variant, step, action)

    try:
        yield root, rows_of
    finally:
        for folder in (root, remote, state):
            shutil.rmtree(folder, ignore_errors=True)


def print_row(options: argparse.Namespace, root: Path, variant: str, step: str, action) -> None:
    """Run a DVC command, or call a function, and print its line of the table."""
    if callable(action):
        began = time.perf_counter()
        action()
        seconds, peak, start = time.perf_counter() - began, None, 0.0
    else:
        (seconds, peak), start = run(action, root), options.start
    scaled = start + max(seconds - start, 0) * options.estimate / options.files
    cached = sum(len(names) for _, _, names in os.walk(root / ".dvc" / "cache"))
    print(
        f"| {variant} | {step} | {seconds:.1f} | {'' if peak is None else f'{peak:.0f}'} | {cached} | {scaled:.0f} |",
        flush=True,
    )


def run(command: list[str], root: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one DVC command; ends the benchmark where DVC refuses it."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*DVC, *command], cwd=root, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"dvc {' '.join(command)} failed: {said.read().decode()[-500:]}")
    return time.perf_counter() - began, used.ru_maxrss / 1024


def write_files(folder: Path, options: argparse.Namespace) -> None:
    """The same random files each time."""
    rng = random.Random(0)
    for number in range(options.files):
        file = folder / f"case_{number // FOLDER:05d}" / f"{number % FOLDER:03d}.dcm"
        if number % FOLDER == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(rng.randbytes(options.bytes))


def change_one(folder: Path) -> None:
    """Replace the first file; writing to it would change the target of a link."""
    file = folder / "case_00000" / "000.dcm"
    size = file.stat().st_size
    file.unlink()
    file.write_bytes(os.urandom(size))


def pack(source: Path, target: Path, count: int | None = None) -> None:
    target.mkdir(exist_ok=True)
    for case in sorted(source.iterdir())[:count]:
        archive = target / f"{case.name}.tar"
        archive.unlink(missing_ok=True)
        with tarfile.open(archive, "w") as tar:
            tar.add(case, case.name)


def unpack(source: Path, target: Path) -> None:
    for archive in sorted(source.iterdir()):
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")


def _version() -> str:
    return subprocess.run([*DVC, "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="files, archives, external; all without")
    parser.add_argument("--files", type=int, default=50_000, help=f"a multiple of {FOLDER}")
    parser.add_argument("--bytes", type=int, default=4096, help="of each file")
    parser.add_argument("--estimate", type=int, default=770_000, help="files for which the last column is")
    parser.add_argument("--folder", type=Path, help="where to work: the disk that is measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
