"""Turns the pre-contrast volume of every masked patient into a synthetic first post-contrast volume."""

import torch

from cohort.case import Case, read_cases
from cohort.splits import read_splits
from imaging.slices import from_slices, to_slices
from imaging.volume import Volume, read_volume, write_volume
from pipeline.errors import run_stage
from pipeline.params import load_params
from pipeline.paths import GENERATOR, SPLITS, SYNTHETIC, VOLUMES
from pipeline.progress import progress
from pix2pixhd.checkpoint import load_generator
from pix2pixhd.translate import translate


def synthesize(case: Case, generator: torch.nn.Module, size: int, batch_size: int) -> Volume:
    """The synthetic volume of a case, in scanner units, with the exact geometry of its pre-contrast volume."""
    pre = read_volume(case.path("pre"))
    slices = to_slices(case.scale.normalise(pre.array), size)
    synthetic = from_slices(translate(generator, slices, batch_size), pre.array.shape)
    return pre.like(case.scale.restore(synthetic))


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.gan.threads)
    splits = read_splits(SPLITS)
    wanted = {*splits.validation, *splits.test, *splits.external}
    generator = load_generator(GENERATOR).to("cuda" if torch.cuda.is_available() else "cpu")
    for case in progress([case for case in read_cases(VOLUMES) if case.id in wanted], "synthesize", unit="case"):
        volume = synthesize(case, generator, params.slices.size, params.synthesis.batch_size)
        write_volume(volume, SYNTHETIC / f"{case.id}.nii.gz")


if __name__ == "__main__":
    run_stage(main)
