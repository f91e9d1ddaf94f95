"""Collects the segmentation's training volumes as an nnU-Net dataset; nnU-Net plans and preprocesses each one once."""

from cohort.case import find_cases, read_cases
from cohort.splits import read_splits
from pipeline.errors import run_stage
from pipeline.params import load_params
from pipeline.paths import NNUNET, SPLITS, SYNTHETIC, VOLUMES
from segmentation.nnunet import CONFIGURATION, raw_folder, whole_folder
from segmentation.planning import plan_and_preprocess
from segmentation.raw_dataset import write_raw_dataset
from segmentation.study import phases_needed


def main() -> None:
    params = load_params().segmentation
    cases = find_cases(read_splits(SPLITS).validation, read_cases(VOLUMES))
    phases = phases_needed(params.settings, params.train)
    with whole_folder(NNUNET) as folder:
        write_raw_dataset(raw_folder(folder), cases, phases, SYNTHETIC)
        plans = plan_and_preprocess(folder, params.plan == "small", params.threads)
    planned = plans["configurations"][CONFIGURATION]
    print(f"{plans['plans_name']}: {len(cases)} patients x {', '.join(phases)}; window {planned['patch_size']} of "
          f"{[round(float(size), 2) for size in planned['spacing']]} mm, "
          f"features {planned['architecture']['arch_kwargs']['features_per_stage']}")


if __name__ == "__main__":
    run_stage(main)
