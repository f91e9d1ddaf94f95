"""The complete state of a training, written atomically, so that a killed training resumes exactly.

nnU-Net's own checkpoints lack the random generators and the step within the epoch: resuming from them gives another
training.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path

if TYPE_CHECKING:
    from pre2post.segmentation.trainer import RepeatableTrainer

STATE_FILE = "state.pt"


def save_state(folder: Path, trainer: "RepeatableTrainer", losses: list[dict]) -> None:
    """Write everything that the next step depends on; `losses` are those of the current epoch."""
    import torch

    content = {
        "network": trainer.network.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.grad_scaler.state_dict() if trainer.grad_scaler else None,
        "epoch": trainer.current_epoch,
        "losses": [float(step["loss"]) for step in losses],
        "logging": trainer.logger.get_checkpoint(),
        "log": Path(trainer.log_file).read_text(encoding="utf-8"),
        "random": trainer.batches.next_state,
    }
    with atomic_path(folder / STATE_FILE) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)


def load_state(folder: Path, trainer: "RepeatableTrainer") -> list[dict]:
    """Load the saved state, if there is one, into a trainer with open data; return the losses of its current epoch.

    The batches must not have started: the random generators are set to their state before the next batch.

    Raises InputError if the state is damaged or belongs to another training.
    """
    import torch

    from pre2post.segmentation.batches import restore_random_states

    file = folder / STATE_FILE
    if not file.is_file():
        return []
    try:
        saved = torch.load(file, weights_only=True, map_location=trainer.device)
        trainer.network.load_state_dict(saved["network"])
        trainer.optimizer.load_state_dict(saved["optimizer"])
        if trainer.grad_scaler:
            trainer.grad_scaler.load_state_dict(saved["scaler"])
        trainer.current_epoch = saved["epoch"]
        trainer.logger.load_checkpoint(saved["logging"])
        Path(trainer.log_file).write_text(saved["log"], encoding="utf-8")
        restore_random_states(saved["random"])
        return [{"loss": np.float32(loss)} for loss in saved["losses"]]
    except Exception as error:
        raise InputError(
            "the saved training state cannot be used",
            file=file,
            found=" ".join(str(error).split())[:200],
            expected="the state of this training",
            hint="delete its folder to start the training again",
        ) from None
