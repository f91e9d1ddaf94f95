"""Measure the gain of parallel trainings: two jobs with one thread each on two cores, against one after the other.

    python bench/matrix.py                       # 8 trainings of the demonstration's length
    python bench/matrix.py --trainings 4 --epochs 2 --iterations 4     # a quick check
    python bench/matrix.py --hours 14            # estimate the full study from 14 hours per training

It runs in a temporary clone of the last commit, with its results checked out.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.85  # of the ideal, which is twice as fast
STUDY, GPUS = 35, (1, 5, 35)  # trainings of the full study, and numbers of GPUs
FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=8, help="an even number, at most 20")
    parser.add_argument("--epochs", type=int, help="epochs per training (default: as in params.yaml)")
    parser.add_argument(
        "--iterations",
        type=int,
        dest="num_iterations_per_epoch",
        help="training steps per epoch (default: as in params.yaml)",
    )
    parser.add_argument("--hours", type=float, help="hours of one training at full scale, to estimate the full study")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-matrix-") as folder:
        seconds = {jobs: measure(Path(folder) / f"{jobs}", jobs, options) for jobs in (1, 2)}
    efficiency = seconds[1] / seconds[2] / 2
    print(f"| {options.trainings} trainings with one thread each | seconds | per training | of the ideal |")
    print("|---|---|---|---|")
    for jobs, spent in seconds.items():
        print(
            f"| {jobs} at a time | {spent:.1f} | {spent / options.trainings:.1f} | "
            f"{1 if jobs == 1 else efficiency:.2f} |"
        )
    print(f"goal {GOAL}: {'reached' if efficiency >= GOAL else 'not reached'}; load {os.getloadavg()[0]:.1f}\n")
    print(arithmetic(options.hours or seconds[1] / options.trainings / 3600))


def measure(folder: Path, jobs: int, options: argparse.Namespace) -> float:
    """Return the seconds of cluster/run_matrix.py for the first trainings, in a project with an empty cache."""
    run(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    cache = subprocess.run(["dvc", "cache", "dir"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    run(["dvc", "cache", "dir", "--local", str((ROOT / cache).resolve())], folder)
    run(["dvc", "checkout", "--quiet", "ingest", "synthesize", "plan_and_preprocess"], folder)
    edit(folder / "params.yaml", options)
    run(["dvc", "cache", "dir", "--local", str(folder / ".dvc" / "cache")], folder)  # empty from here on
    run(["dvc", "commit", "--force", "--quiet", "plan_and_preprocess"], folder)
    names = subprocess.run(
        ["dvc", "stage", "list", "--name-only"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()
    trainings = [name for name in names if name.startswith("train_segmentation@")][: options.trainings]
    start = time.perf_counter()
    run([sys.executable, "cluster/run_matrix.py", *trainings, "--jobs", str(jobs)], folder)
    return time.perf_counter() - start


def edit(file: Path, options: argparse.Namespace) -> None:
    yaml = YAML()
    params = yaml.load(file)
    params["segmentation"]["threads"] = 1
    params["segmentation"]["min_validation_dice"] = 0.0  # the shortest trainings learn nothing
    for name in ("epochs", "num_iterations_per_epoch"):
        params["segmentation"][name] = getattr(options, name) or params["segmentation"][name]
    yaml.dump(params, file)


def arithmetic(hours: float) -> str:
    """Return the hours of the full study from those of one training, with one training per GPU at a time."""
    lines = [f"| the study, {STUDY} trainings of {hours:.3g} h | hours |", "|---|---|"]
    return "\n".join(
        lines + [f"| on {gpus} GPU{'s' if gpus > 1 else ''} | {math.ceil(STUDY / gpus) * hours:.3g} |" for gpus in GPUS]
    )


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: exit code {done.returncode}; found:\n{done.stdout}")


if __name__ == "__main__":
    main()
