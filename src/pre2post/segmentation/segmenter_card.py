"""The model card of a trained fold, beside its checkpoint."""

import math
from pathlib import Path

from pre2post.core.files import sha256_of
from pre2post.pipeline.model_card import write_card
from pre2post.pipeline.provenance import made_with
from pre2post.segmentation.mix_file import fold_patients, mix_file
from pre2post.segmentation.nnunet import PLANS_OF
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import find_checkpoint, read_checkpoint
from pre2post.segmentation.training import UNSEEN


def write_segmenter_card(
    folder: Path, output: Path, study: SegmentationParams, mix: str, fold: int, seed: int, nnunet: Path
) -> None:
    """Writes the card of the training in `folder`, which is to become `output`.

    Its data are the hash of the mix's file, which holds those of every volume and the folds, and nothing else: a
    card stays as it is when something changes that does not concern the training.
    """
    checkpoint = find_checkpoint(folder, PLANS_OF[study.plan])
    dice = read_checkpoint(checkpoint)["logging"]["mean_fg_dice"][-1]
    held_out = len(fold_patients(nnunet, mix, fold, "val"))
    write_card(
        checkpoint,
        f"nnU-Net tumour segmenter: {mix}, fold {fold}",
        patients=fold_patients(nnunet, mix, fold, "train"),
        data=sha256_of(mix_file(nnunet, mix)),
        params={"seed": seed, "segmentation": study.model_dump(exclude=UNSEEN)},
        made_with=made_with(output),
        metrics={"pseudo_dice": {"value": round(dice, 6) if math.isfinite(dice) else None, "n": held_out}},
        metrics_of="patches of the held-out patients in the last epoch, which give no interval; for measured "
        "Dice with intervals see metrics/segmentation.json of the same commit",
    )
