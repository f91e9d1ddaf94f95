"""Time DVC and this project without any work: repro with nothing to do, the start of a stage, exp show.

    python bench/overhead.py

It runs in a temporary clone of the last commit, which shares the cache of this checkout (`make repro` first).
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RUNS = 3  # the best one counts, since other load only adds time
EXPERIMENTS = 50
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")  # of -X importtime: microseconds of its own, module


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; best of {RUNS}")
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        clone = Path(folder) / "clone"
        run(ROOT, "git", "clone", "-q", str(ROOT), str(clone))
        run(clone, "dvc", "cache", "dir", "--local", str(ROOT / ".dvc/cache"))
        run(clone, "dvc", "config", "--local", "cache.type", "hardlink,copy")
        run(clone, "dvc", "checkout", "-q", "--allow-missing")
        run(clone, "dvc", "repro", "-q")
        print(f"dvc repro, nothing to do: {best(lambda: run(clone, 'dvc', 'repro')):.2f} s")
        for name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]:
            own, everything, params = start(clone, name)
            print(
                f"start of {name}: our own modules {own:.2f} s, parameters {params:.2f} s, libraries "
                f"{everything - own:.2f} s"
            )
        save_experiments(clone)
        for options in ([], ["--only-changed"]):
            seconds = best(lambda options=options: run(clone, "dvc", "exp", "show", "--csv", *options))
            print(f"dvc exp show {' '.join(options)} with {EXPERIMENTS} experiments: {seconds:.2f} s")


def start(clone: Path, stage: str) -> tuple[float, float, float]:
    """Return the seconds to import our modules alone, to import everything of a stage, and to read params.yaml."""
    code = (
        f"import {stage}, time; from pre2post.pipeline.params import load_params; t = time.perf_counter(); "
        "load_params(); print(time.perf_counter() - t)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(clone / "src")},
    )
    modules = {path.stem for path in (clone / "src").iterdir()}
    times = [(int(own) / 1e6, module) for own, module in IMPORT.findall(done.stderr)]
    ours = sum(seconds for seconds, module in times if module.partition(".")[0] in modules)
    return ours, sum(seconds for seconds, _ in times), float(done.stdout)


def save_experiments(clone: Path) -> None:
    """Save the experiments to show, each with another seed, without running anything."""
    params = (clone / "params.yaml").read_text()
    for number in range(EXPERIMENTS):
        (clone / "params.yaml").write_text(params.replace("seed: 2026", f"seed: {number}", 1))
        run(clone, "dvc", "exp", "save", "-q", "--name", f"seed{number}")
    (clone / "params.yaml").write_text(params)


def best(call: Callable[[], None]) -> float:
    seconds = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
