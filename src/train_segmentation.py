"""Train one nnU-Net on a training mix; one fold of the patients validates it."""

import argparse
import shutil
from functools import partial

from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_tracked_table
from pre2post.core.paths import NNUNET, PLOTS, SEGMENTERS
from pre2post.core.section import Seed, StageParams
from pre2post.segmentation.mix_file import read_mix
from pre2post.segmentation.nnunet import atomic_folder, segmenter_folder
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.segmenter_card import write_segmenter_card
from pre2post.segmentation.training import train


class Params(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    segmentation: SegmentationParams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mix", required=True, help="training mix, a name in segmentation.mixes of params.yaml")
    parser.add_argument("--fold", required=True, type=int, help="fold whose patients validate")
    options = parser.parse_args()
    mix, fold = options.mix, options.fold
    params = Params.read()
    segmentation = params.segmentation
    if mix not in segmentation.mixes:
        raise InputError("unknown training mix", found=mix, expected=", ".join(segmentation.mixes))
    folds = read_mix(NNUNET, mix)
    if not 0 <= fold < len(folds):
        raise InputError(
            "unknown fold",
            found=fold,
            expected=f"0 to {len(folds) - 1}",
            hint="change segmentation.folds, or raise split.folds",
        )
    output = segmenter_folder(SEGMENTERS, mix, fold)
    write_history = partial(write_tracked_table, PLOTS / "segmenters" / f"{output.name}.csv")
    with atomic_folder(output) as folder:
        trained = train(segmentation, mix, fold, folds, params.seed, NNUNET, folder, write_history)
        write_segmenter_card(folder, output, segmentation, mix, fold, params.seed, NNUNET, trained)
    shutil.rmtree(trained.states, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
