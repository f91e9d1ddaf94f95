"""The whole state of a training in one file, saved whole or not at all: a killed training carries on exactly."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.files import atomic_path

FILE = "state.pt"


@dataclass
class TrainingState:
    """Where a training stands: epoch and step within it, the running sums of its losses, the history of epochs.

    Nothing random is in it: initial weights come from the seed, batches from (seed, epoch).
    """

    folder: Path
    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)

    @classmethod
    def load_or_start(cls, folder: Path, model) -> "TrainingState":
        """The state saved in `folder`, put into `model`, or a fresh one. Raises InputError when it is damaged."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILE).exists():
            return cls(folder)
        try:
            saved = torch.load(folder / FILE, weights_only=True, map_location="cpu")
            model.load_state_dict(saved.pop("model"))
        except Exception as error:
            raise InputError("the saved training state cannot be used", file=folder / FILE,
                             found=" ".join(str(error).split())[:200], expected="the state of this very training",
                             todo="delete this folder to start the training afresh") from None
        print(f"carries on with epoch {saved['epoch'] + 1}, step {saved['step'] + 1}, from {folder / FILE}")
        return cls(folder, **saved)

    def save(self, model) -> None:
        content = {"epoch": self.epoch, "step": self.step, "sums": self.sums, "history": self.history,
                   "model": model.state_dict()}
        with atomic_path(self.folder / FILE) as temporary:
            torch.save(content, temporary)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Counts a step and its losses, without waiting for the device."""
        self.step += 1
        self.sums = {name: self.sums.get(name, 0) + loss.double() for name, loss in losses.items()}

    def end_epoch(self, rate: float) -> None:
        """Moves the epoch's mean losses to the history."""
        self.check_finite()
        means = {name: float(total) / self.step for name, total in self.sums.items()}
        self.history.append({"epoch": self.epoch + 1, "learning_rate": rate, **means})
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}

    def check_finite(self) -> None:
        """Raises InputError when a loss has become NaN or infinite; the last saved state and checkpoints stay."""
        bad = [name for name, total in self.sums.items() if not torch.isfinite(total)]
        if bad:
            raise InputError("the training has diverged", found=f"{bad[0]} is not finite in epoch {self.epoch + 1}, "
                             f"at or before step {self.step}", expected="finite losses",
                             todo=f"lower gan.learning_rate; checkpoints so far are in {self.folder}")
