"""Trains one nnU-Net: a training setting, validated on one fold of the patients."""

import argparse
import shutil
from functools import partial

from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import NNUNET, PLOTS, SEGMENTERS
from pre2post.core.section import Seed, StageParams
from pre2post.segmentation.design import fold_folder
from pre2post.segmentation.mix_file import read_setting
from pre2post.segmentation.nnunet import whole_folder
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.segmenter_card import write_segmenter_card
from pre2post.segmentation.training import train


class Params(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    segmentation: SegmentationParams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", required=True, help="a name under segmentation.settings in params.yaml")
    parser.add_argument("--fold", required=True, type=int, help="the fold whose patients are kept for validation")
    wanted = parser.parse_args()
    params = Params.read()
    settings = params.segmentation.settings
    if wanted.setting not in settings:
        raise InputError("there is no such training setting", found=wanted.setting, expected=", ".join(settings))
    folds = read_setting(NNUNET, wanted.setting)
    if not 0 <= wanted.fold < len(folds):
        raise InputError(
            "there is no such fold",
            found=wanted.fold,
            expected=f"0 to {len(folds) - 1}",
            todo="choose another segmentation.folds, or raise split.folds",
        )
    output = fold_folder(SEGMENTERS, wanted.setting, wanted.fold)
    with whole_folder(output) as folder:
        state = train(
            params.segmentation,
            wanted.setting,
            wanted.fold,
            folds,
            params.seed,
            NNUNET,
            folder,
            partial(write_table, PLOTS / "segmenters" / f"{output.name}.csv"),
        )
        write_segmenter_card(folder, output, params.segmentation, wanted.setting, wanted.fold, params.seed, NNUNET)
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
