"""The checkpoint of a trained fold: find it in its folder and read it without running code."""

import json
import sys
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


def warn_of_other_plans(plans: dict[str, Any], checkpoint: dict[str, Any], folder: Path) -> None:
    """Print a warning if plans.json in `folder` differs from the plans of the training, which the checkpoint holds.

    Another window or spacing changes what a network predicts, and nothing else would show it.
    """
    arguments = checkpoint.get("init_args", {})
    name, trained = arguments.get("configuration", CONFIGURATION), arguments.get("plans")
    if not isinstance(trained, dict):
        return
    now, before = (json.loads(json.dumps(each["configurations"].get(name, {}))) for each in (plans, trained))
    odd = sorted(key for key in {*now, *before} if now.get(key) != before.get(key))
    if odd:
        print(
            f"warning: {folder / 'plans.json'} differs from the plans of the training in {', '.join(odd)}; "
            f"{odd[0]} is {now.get(odd[0])}, and was {before.get(odd[0])}: predictions may be worse",
            file=sys.stderr,
        )
