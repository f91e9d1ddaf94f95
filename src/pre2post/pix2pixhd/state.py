"""The complete state of a training in one file, written completely or not at all; a killed training resumes exactly."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.step import Pix2PixHD

FILE = "state.pt"
CONSTANT_RATE = "constant_rate.pt"  # the state before the learning rate first fell: a longer training can start there
CHECK_EVERY = 50  # steps between checks of the losses, for which a GPU must wait
ADAM_MOMENTS = 2  # kept by the optimiser per weight
FLOAT_BYTES = 4


@dataclass
class TrainingState:
    """The progress of a training: epoch, step within it, sums of the epoch's losses, history of epochs.

    It holds no random state: initial weights come from the seed, batches and augmentation from (seed, epoch).
    """

    folder: Path
    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    recent: list[dict[str, Tensor]] = field(default_factory=list)

    @classmethod
    def load(cls, file: Path, folder: Path, model: Pix2PixHD) -> "TrainingState":
        """Load `file` into `model` and return the state, which will be saved in `folder`.

        Raises InputError if the file is damaged, of another training, or made with another runtime config.
        """
        saved = open_state(file, lazily=False)
        check_runtime(saved, file, model)
        try:
            model.load_state_dict(saved["model"])
            state = cls(folder, saved["epoch"], saved["step"], saved["sums"], saved["history"])
        except Exception as error:
            raise _unusable(file, error) from None
        state.sums = {name: loss.to(model.runtime.device) for name, loss in state.sums.items()}
        return state

    def save(self, model: Pix2PixHD, rate: float) -> None:
        """Write the state, the model and `rate`, the learning rate of the current epoch."""
        content = {
            "epoch": self.epoch,
            "step": self.step,
            "rate": rate,
            "sums": self.sums,
            "history": self.history,
            "runtime": asdict(model.runtime),
            "model": model.state_dict(),
        }
        with atomic_path(self.folder / FILE) as temporary, open(temporary, "wb") as file:
            torch.save(content, file)  # to an open file, or a full disk would not be reported as such

    def keep_as_constant_rate(self) -> None:
        """Keep the state that was just saved, in addition to later ones."""
        with atomic_path(self.folder / CONSTANT_RATE) as temporary:
            os.link(self.folder / FILE, temporary)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Count a step and its losses, and check them every CHECK_EVERY steps. Raises InputError as check_finite."""
        self.step += 1
        self.sums = {name: self.sums.get(name, 0) + loss.double() for name, loss in losses.items()}
        self.recent.append(losses)
        if len(self.recent) == CHECK_EVERY:
            self.check_finite()

    def end_epoch(self, rate: float) -> None:
        """Append the epoch's mean losses to the history and start the next epoch."""
        self.check_finite()
        means = {name: float(loss) / self.step for name, loss in self.sums.items()}
        self.history.append({"epoch": self.epoch + 1, "learning_rate": rate, **means})
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}

    def check_finite(self) -> None:
        """Raise InputError for the first step since the last check whose losses are NaN or infinite.

        Nothing is saved after that: the last state and the checkpoints are from before.
        """
        checked, self.recent = self.recent, []
        if not checked:
            return
        table = torch.stack([torch.stack(list(losses.values())) for losses in checked]).cpu()
        bad = (~table.isfinite().all(1)).nonzero()
        if len(bad):
            row = int(bad[0])
            values = ", ".join(f"{name} {value:.4g}" for name, value in zip(checked[0], table[row], strict=True))
            kept = sorted(self.folder.glob("epoch_*.safetensors"))
            raise InputError(
                "the training has diverged",
                expected="finite losses",
                found=f"{values} in epoch {self.epoch + 1}, step {self.step - len(checked) + row + 1}",
                hint=f"lower gan.learning_rate; the last good checkpoint is {kept[-1]}"
                if kept
                else "lower gan.learning_rate; there was no checkpoint yet",
            )


def open_state(file: Path, lazily: bool = True) -> dict[str, Any]:
    """Read a saved state, by default with its tensors left on disk. Raises InputError if it is damaged."""
    try:
        saved = torch.load(file, weights_only=True, map_location="cpu", mmap=lazily)
        _ = saved["epoch"], saved["step"], saved["rate"], saved["history"], saved["runtime"]
        return saved
    except Exception as error:
        raise _unusable(file, error) from None


def check_runtime(saved: dict[str, Any], file: Path, model: Pix2PixHD) -> None:
    """Raise InputError if the state has another runtime config: a mixture could not be reproduced."""
    ours = asdict(model.runtime)
    differing = [name for name in ours if saved["runtime"].get(name) != ours[name]]
    if differing:
        raise InputError(
            "the saved training state was made with different run settings",
            file=file,
            found=", ".join(f"{name} {saved['runtime'].get(name)}" for name in differing),
            expected=", ".join(f"{name} {ours[name]}" for name in differing),
            hint="use the same gan parameters and kind of machine, or delete its folder to start from zero",
        )


def disk_needed(model: Pix2PixHD, epochs: int, checkpoint_every_epochs: int) -> int:
    """Return the bytes of all kept checkpoints and of two states, the current one and that of the constant rate."""
    g, d = (sum(map(torch.numel, weights)) for weights in (model.generator.parameters(), model.d_params))
    checkpoints = -(-epochs // checkpoint_every_epochs)
    return FLOAT_BYTES * (checkpoints * g + 2 * ((2 + ADAM_MOMENTS) * g + (1 + ADAM_MOMENTS) * d))


def _unusable(file: Path, error: Exception) -> InputError:
    return InputError(
        "the saved training state cannot be used",
        file=file,
        found=" ".join(str(error).split())[:200],
        expected="a state of this training",
        hint="delete its folder to start from zero",
    )
