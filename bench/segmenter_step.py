"""Time a training step of the segmentation against nnU-Net's own step, with the same patches, network and losses.

    python bench/segmenter_step.py
    python bench/segmenter_step.py --steps 20 --rounds 5 --threads 2

Ours makes the next batch in a thread from volumes in memory, keeps the layout that oneDNN computes in, and computes
each patch in its own thread. The other side is nnU-Net's: it makes a batch, then takes the step, with all threads for
each layer. Both compute in the same precision. They take turns, so other load affects both alike: trust the ratio. CPU
seconds count all threads. Needs the output of stage plan_and_preprocess.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from pre2post.core.errors import run_stage
from pre2post.core.paths import NNUNET
from pre2post.core.progress import progress
from pre2post.pipeline.params import load_params
from pre2post.segmentation import trainer
from pre2post.segmentation.mix_file import read_mix
from pre2post.segmentation.nnunet import quiet, set_nnunet_folders
from pre2post.segmentation.training import make_trainer, read_plans

OURS, THEIRS = "ours", "nnU-Net's"


def main() -> None:
    options = _options()
    params = load_params().segmentation.model_copy(update={"threads": options.threads})
    folds = read_mix(NNUNET, options.mix)
    with tempfile.TemporaryDirectory() as folder, progress((), "steps", quiet=True) as bar:
        set_nnunet_folders(NNUNET, Path(folder), augmenters=0)
        torch.set_num_threads(options.threads)
        plans = read_plans(NNUNET, params, folds)

        with quiet():
            ours = make_trainer(params, options.mix, 0, folds[0], *plans, torch.device("cpu"))
            with mock.patch.multiple(
                trainer, arrange_for_cpu=lambda network: None, VolumesInMemory=nnUNetDatasetBlosc2
            ):
                theirs = make_trainer(params, options.mix, 0, folds[0], *plans, torch.device("cpu"))
            theirs.configuration_manager.configuration["batch_dice"] = (
                True  # the loss is built: only one pass per batch
            )
            for each in (ours, theirs):
                each.bar = bar
                each.on_train_start()
        with ours._workers():
            times = compare(
                {
                    OURS: lambda: ours.train_step(next(ours.batches)),
                    THEIRS: lambda: theirs.train_step(next(theirs.dataloader_train)),
                },
                options,
            )
    print(table(times, ours.bfloat16, options))


def compare(steps: dict[str, Callable], options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds and the CPU seconds per step of each side in each round, after one round to warm up."""
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in steps}
    for _ in range(options.rounds + 1):
        for side, step in steps.items():
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(options.steps):
                step()
            found = (time.perf_counter() - start) / options.steps, (time.process_time() - cpu) / options.steps
            times[side].append(found)
    return {side: rounds[1:] for side, rounds in times.items()}


def table(times: dict[str, list[tuple[float, float]]], bfloat16: bool, options: argparse.Namespace) -> str:
    """Return the medians in Markdown, and the ratios ours / nnU-Net's."""
    lines = [
        f"{options.rounds} rounds of {options.steps} steps, {options.threads} threads of {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, {'bfloat16' if bfloat16 else 'float32'}, torch {torch.__version__}\n",
        "| a step | ms | CPU ms |",
        "|---|---|---|",
    ]
    medians = {side: [1000 * statistics.median(values) for values in zip(*times[side], strict=True)] for side in times}
    lines += [f"| {side} | {wall:.0f} | {cpu:.0f} |" for side, (wall, cpu) in medians.items()]
    ratios = [ours / theirs for ours, theirs in zip(medians[OURS], medians[THEIRS], strict=True)]
    return "\n".join([*lines, f"| ratio | **{ratios[0]:.2f}** | {ratios[1]:.2f} |"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", default="post", help="a planned mix")
    parser.add_argument("--steps", type=int, default=20, help="per round")
    parser.add_argument("--rounds", type=int, default=5, help="of each side")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
