"""Trains one nnU-Net: a training mix, validated on one fold of the patients."""

import argparse
import shutil
from functools import partial

from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import NNUNET, PLOTS, SEGMENTERS
from pre2post.core.section import Seed, StageParams
from pre2post.segmentation.design import fold_folder
from pre2post.segmentation.mix_file import read_mix
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
    parser.add_argument("--mix", required=True, help="a name under segmentation.mixes in params.yaml")
    parser.add_argument("--fold", required=True, type=int, help="the fold whose patients are kept for validation")
    wanted = parser.parse_args()
    params = Params.read()
    mixes = params.segmentation.mixes
    if wanted.mix not in mixes:
        raise InputError("there is no such training mix", found=wanted.mix, expected=", ".join(mixes))
    folds = read_mix(NNUNET, wanted.mix)
    if not 0 <= wanted.fold < len(folds):
        raise InputError(
            "there is no such fold",
            found=wanted.fold,
            expected=f"0 to {len(folds) - 1}",
            hint="choose another segmentation.folds, or raise split.folds",
        )
    output = fold_folder(SEGMENTERS, wanted.mix, wanted.fold)
    with whole_folder(output) as folder:
        state = train(
            params.segmentation,
            wanted.mix,
            wanted.fold,
            folds,
            params.seed,
            NNUNET,
            folder,
            partial(write_table, PLOTS / "segmenters" / f"{output.name}.csv"),
        )
        write_segmenter_card(folder, output, params.segmentation, wanted.mix, wanted.fold, params.seed, NNUNET)
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
