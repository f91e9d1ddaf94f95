"""Write the post-contrast volumes that the generator and the baselines make for every patient with a mask."""

from functools import partial
from pathlib import Path

import torch

from pre2post.cohort.case import find_cases
from pre2post.core.device import best_device
from pre2post.core.errors import run_stage
from pre2post.core.paths import SPLITS, SYNTHETIC, VOLUMES, synthetic_name
from pre2post.core.progress import progress
from pre2post.core.section import StageParams
from pre2post.image.params import SlicesParams
from pre2post.ingest.params import IngestParams
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.pipeline.model_card import check_card
from pre2post.pix2pixhd.checkpoint import load_generator, read_trained_on
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.params import GanParams
from pre2post.segmentation.design import SYNTHETIC as GENERATOR_PHASE
from pre2post.segmentation.design import made_phases
from pre2post.splits.leakage import check_unseen, read_study
from pre2post.splits.splits import SCORED
from pre2post.synthesis.baselines import fit_baselines
from pre2post.synthesis.params import SynthesisParams
from pre2post.synthesis.volumes import synthetic_volumes


class Params(StageParams):
    """The parameters that this stage reads."""

    ingest: IngestParams
    slices: SlicesParams
    gan: GanParams
    synthesis: SynthesisParams


def main() -> None:
    params = Params.read()
    torch.set_num_threads(params.gan.threads)
    splits, known = read_study(SPLITS, VOLUMES)
    weights = Path(params.synthesis.weights)
    check_unseen(splits, known, read_trained_on(weights), weights)
    cases = find_cases(sorted(case for part in SCORED for case in getattr(splits, part)), known)
    generator = load_generator(weights).to(best_device())
    generator.architecture.check_size(params.slices.size)
    check_card(weights, params)
    phases = params.slices.phases
    run = partial(infer, generator, batch_size=params.synthesis.batch_size, phases=len(phases))
    methods = {GENERATOR_PHASE: run} | fit_baselines()
    for case in progress(cases, "synthesize", unit="case"):
        pre = read_volume(case.path("pre"))
        for method, make in methods.items():
            volumes = synthetic_volumes(pre, case.scale, params.slices.size, make)
            for phase, volume in zip(made_phases(method, phases), volumes, strict=True):
                write_volume(volume, SYNTHETIC / synthetic_name(case.id, phase))


if __name__ == "__main__":
    run_stage(main)
