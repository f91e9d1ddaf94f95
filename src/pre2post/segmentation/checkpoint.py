"""The checkpoint of a trained fold: find it in its folder and read it without running code."""

from pathlib import Path
from typing import Any

from pre2post.core.errors import InputError
from pre2post.segmentation.nnunet import CONFIGURATION, DATASET

CHECKPOINT = "checkpoint_final.pth"


def find_checkpoint(folder: Path, plans_name: str) -> Path:
    """Return the checkpoint in the folder of one training. Raises InputError if it is not trained by these plans."""
    found = sorted(folder.glob(f"{DATASET}/*__{plans_name}__{CONFIGURATION}/fold_*/{CHECKPOINT}"))
    if len(found) != 1:
        raise InputError(
            "this training is missing, or used another plan",
            file=folder,
            found=f"{len(found)} checkpoints of {plans_name}",
            expected="one",
            hint="run `dvc repro train_segmentation`",
        )
    return found[0]


def read_checkpoint(
    file: Path, hint: str = "delete its folder and run `dvc repro train_segmentation`"
) -> dict[str, Any]:
    """Read a checkpoint without running code that it may hold. Raises InputError if it cannot be read."""
    import pickle

    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise InputError(
            "the checkpoint cannot be read", file=file, found=str(error).split("\n")[0], hint=hint
        ) from None
