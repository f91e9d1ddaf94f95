"""Collects the segmentation's training volumes as an nnU-Net dataset; nnU-Net plans and preprocesses each one once."""

from pre2post.cohort.case import find_cases
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.errors import run_stage
from pre2post.core.paths import NNUNET, SPLITS, SYNTHETIC, VOLUMES
from pre2post.core.section import Seed, StageParams
from pre2post.segmentation.design import key, mix_folds, phases_needed
from pre2post.segmentation.mix_file import write_mix
from pre2post.segmentation.nnunet import CONFIGURATION, raw_folder, whole_folder
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
    study, (splits, known) = params.segmentation, read_study(SPLITS, VOLUMES)
    cases = find_cases(splits.in_folds, known)
    folds = {name: mix_folds(study.mixes[name], splits, params.seed) for name in study.train}
    phases = sorted({PLANNED_ON, *phases_needed(study.mixes, study.train)})
    with whole_folder(NNUNET) as folder:
        write_raw_dataset(raw_folder(folder), cases, phases, SYNTHETIC, study.train_crop == "breast")
        plans = plan_and_preprocess(
            folder, [key(case.id, PLANNED_ON) for case in cases], study.plan == "small", study.threads
        )
        for name in study.train:
            write_mix(
                folder, name, folds[name], plans["plans_name"], {case.id: digest(patient_of(case)) for case in cases}
            )
    planned = plans["configurations"][CONFIGURATION]
    print(
        f"{plans['plans_name']}: {len(cases)} patients x {', '.join(phases)}; window {planned['patch_size']} of "
        f"{[round(float(size), 2) for size in planned['spacing']]} mm, "
        f"features {planned['architecture']['arch_kwargs']['features_per_stage']}"
    )


if __name__ == "__main__":
    run_stage(main)
