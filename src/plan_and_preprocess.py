"""Collect the training volumes of all mixes as an nnU-Net dataset; nnU-Net plans, and preprocesses each one once."""

from pre2post.cohort.case import find_cases
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.errors import run_stage
from pre2post.core.paths import NNUNET, SPLITS, SYNTHETIC, VOLUMES
from pre2post.core.section import Seed, StageParams
from pre2post.segmentation.design import phases_needed
from pre2post.segmentation.folds import mix_folds
from pre2post.segmentation.mix_file import write_mix
from pre2post.segmentation.nnunet import CONFIGURATION, atomic_folder, nnunet_case, raw_folder
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.planning import plan_and_preprocess
from pre2post.segmentation.raw_dataset import write_raw_dataset
from pre2post.splits.leakage import read_study

PLANNED_ON = "pre"  # the phase that every case has


class Params(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    segmentation: SegmentationParams


def main() -> None:
    params = Params.read()
    segmentation, (splits, known) = params.segmentation, read_study(SPLITS, VOLUMES)
    cases = find_cases(splits.in_folds, known)
    patients = {case.id: digest(patient_of(case)) for case in cases}
    folds = {mix: mix_folds(segmentation.mixes[mix], splits, params.seed) for mix in segmentation.train}
    phases = sorted({PLANNED_ON, *phases_needed(segmentation.mixes, segmentation.train)})
    with atomic_folder(NNUNET) as folder:
        write_raw_dataset(raw_folder(folder), cases, phases, SYNTHETIC, segmentation.train_crop == "breast")
        planned_on = [nnunet_case(case.id, PLANNED_ON) for case in cases]
        plans = plan_and_preprocess(folder, planned_on, segmentation.plan == "small", segmentation.threads)
        for mix in segmentation.train:
            write_mix(folder, mix, folds[mix], plans["plans_name"], patients)
    planned = plans["configurations"][CONFIGURATION]
    print(
        f"{plans['plans_name']}: {len(cases)} patients x {', '.join(phases)}; patch {planned['patch_size']} of "
        f"{[round(float(size), 2) for size in planned['spacing']]} mm, "
        f"features {planned['architecture']['arch_kwargs']['features_per_stage']}"
    )


if __name__ == "__main__":
    run_stage(main)
