"""The model card of a trained fold, next to its checkpoint."""

import math
from pathlib import Path

from pre2post.core.files import sha256_of
from pre2post.pipeline.model_card import write_card
from pre2post.pipeline.provenance import made_with
from pre2post.segmentation.checkpoint import find_checkpoint, read_checkpoint
from pre2post.segmentation.mix_file import fold_patients, mix_file
from pre2post.segmentation.nnunet import PLANS_OF
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.training import NO_EFFECT


def write_segmenter_card(
    folder: Path, output: Path, params: SegmentationParams, mix: str, fold: int, seed: int, nnunet: Path
) -> None:
    """Write the card of one training.

    Its data is the hash of the mix's file, which covers every volume and the folds. So the card changes only with the
    training itself.

    Args:
        folder: The temporary folder of the training.
        output: The folder that it will become, an output of a stage.
        params, mix, fold, seed: What was trained.
        nnunet: The folder with the preprocessed data.
    """
    checkpoint = find_checkpoint(folder, PLANS_OF[params.plan])
    dice = read_checkpoint(checkpoint)["logging"]["mean_fg_dice"][-1]
    held_out = len(fold_patients(nnunet, mix, fold, "val"))
    write_card(
        checkpoint,
        f"nnU-Net tumour segmenter: {mix}, fold {fold}",
        n_patients=len(fold_patients(nnunet, mix, fold, "train")),
        data=sha256_of(mix_file(nnunet, mix)),
        params={"seed": seed, "segmentation": params.model_dump(exclude=NO_EFFECT)},
        made_with=made_with(output),
        metrics={"pseudo_dice": {"value": round(dice, 6) if math.isfinite(dice) else None, "n": held_out}},
        metrics_of="patches of the held-out patients in the last epoch, without an interval; "
        "metrics/segmentation.json of the same commit has the Dice of complete volumes with intervals",
    )
