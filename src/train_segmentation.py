"""Trains one nnU-Net: a training setting, validated on one fold of the patients."""

import argparse

from cohort.splits import read_splits
from pipeline.errors import InputError, run_stage
from pipeline.params import load_params
from pipeline.paths import NNUNET, SEGMENTERS, SPLITS
from segmentation.nnunet import whole_folder
from segmentation.study import check_fold, fold_keys
from segmentation.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", required=True, help="a name under segmentation.settings in params.yaml")
    parser.add_argument("--fold", required=True, type=int, help="the fold whose patients are kept for validation")
    wanted = parser.parse_args()
    params = load_params()
    settings = params.segmentation.settings
    if wanted.setting not in settings:
        raise InputError("there is no such training setting", found=wanted.setting, expected=", ".join(settings))
    splits = read_splits(SPLITS)
    check_fold(wanted.fold, splits)
    folds = [fold_keys(settings[wanted.setting], splits, fold) for fold in range(len(splits.folds))]
    with whole_folder(SEGMENTERS / f"{wanted.setting}_{wanted.fold}") as folder:
        train(params.segmentation, wanted.setting, wanted.fold, folds, params.seed, NNUNET, folder)


if __name__ == "__main__":
    run_stage(main)
