"""Turns the pre-contrast volume of every masked patient into synthetic post-contrast volumes, one a phase."""

from functools import partial
from pathlib import Path

import torch

from cohort.case import find_cases
from cohort.leakage import check_unseen, read_study
from cohort.splits import SCORED
from imaging.synthesis import synthetic_volumes
from imaging.volume import read_volume, write_volume
from pipeline.device import best_device
from pipeline.errors import run_stage
from pipeline.model_card import check_card
from pipeline.params import load_params
from pipeline.paths import SPLITS, SYNTHETIC, VOLUMES, synthetic_name
from pipeline.progress import progress
from pix2pixhd.checkpoint import load_generator, read_trained_on
from pix2pixhd.translate import translate


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.gan.threads)
    splits, known = read_study(SPLITS, VOLUMES)
    weights = Path(params.synthesis.weights)
    check_unseen(splits, known, read_trained_on(weights), weights)
    cases = find_cases(sorted(case for part in SCORED for case in getattr(splits, part)), known)
    generator = load_generator(weights).to(best_device())
    generator.plan.check_size(params.slices.size)
    check_card(weights, params)
    phases = params.slices.phases
    run = partial(translate, generator, batch_size=params.synthesis.batch_size, phases=len(phases))
    for case in progress(cases, "synthesize", unit="case"):
        volumes = synthetic_volumes(read_volume(case.path("pre")), case.scale, params.slices.size, run)
        for phase, volume in zip(("", *phases[1:]), volumes, strict=True):
            write_volume(volume, SYNTHETIC / synthetic_name(case.id, phase))


if __name__ == "__main__":
    run_stage(main)
