"""The model card of a trained fold, next to its checkpoint."""

from pathlib import Path

from pre2post.core.files import sha256_of
from pre2post.pipeline.model_card import write_card
from pre2post.pipeline.provenance import made_with
from pre2post.segmentation.checkpoint import find_checkpoint
from pre2post.segmentation.mix_file import fold_patients, mix_file
from pre2post.segmentation.nnunet import PLANS_OF
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.training import NO_EFFECT, Trained


def write_segmenter_card(
    folder: Path,
    output: Path,
    params: SegmentationParams,
    mix: str,
    fold: int,
    seed: int,
    nnunet: Path,
    trained: Trained,
) -> None:
    """Write the card of one training.

    Its data is the hash of the mix's file, which covers every volume and the folds. So the card changes only with the
    training itself.

    Args:
        folder: The temporary folder of the training.
        output: The folder that it will become, an output of a stage.
        params, mix, fold, seed: What was trained.
        nnunet: The folder with the preprocessed data.
        trained: The end of the training.
    """
    checkpoint = find_checkpoint(folder, PLANS_OF[params.plan])
    held_out = len(fold_patients(nnunet, mix, fold, "val"))
    write_card(
        checkpoint,
        f"nnU-Net tumour segmenter: {mix}, fold {fold}",
        n_patients=len(fold_patients(nnunet, mix, fold, "train")),
        data=sha256_of(mix_file(nnunet, mix)),
        params={"seed": seed, "restarts": trained.restarts, "segmentation": params.model_dump(exclude=NO_EFFECT)},
        made_with={**made_with(output), "machine": trained.machine},
        metrics={"validation_dice": {"value": round(trained.dice, 6), "n": held_out}},
        metrics_of="complete volumes of the held-out patients after the last epoch, without an interval; "
        "metrics/segmentation.json of the same commit has the Dice of test patients with intervals",
    )
