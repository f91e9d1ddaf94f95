"""The whole state of a training in one file, saved whole or not at all: a killed training carries on exactly."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.step import Pix2PixHD

FILE = "state.pt"
CONSTANT_RATE = "constant_rate.pt"  # the state before the learning rate first fell: where a longer training can go on
CHECK_EVERY = 50  # steps between looks at the losses, which make a GPU wait
ADAM = 2  # moments that the optimiser keeps a weight
FLOAT = 4  # bytes


@dataclass
class TrainingState:
    """Where a training stands: epoch and step within it, the sums of the epoch's losses, the history of epochs.

    Nothing random is in it: initial weights come from the seed, batches and their moves from (seed, epoch).
    """

    folder: Path
    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    recent: list[dict[str, Tensor]] = field(default_factory=list)

    @classmethod
    def load(cls, file: Path, folder: Path, model: Pix2PixHD) -> "TrainingState":
        """The state saved in `file`, put into `model`; it will be saved in `folder`.

        Raises InputError when it is damaged, of another training, or was made in another way (model.run).
        """
        saved = open_state(file, lazily=False)
        check_execution(saved, file, model)
        try:
            model.load_state_dict(saved["model"])
            state = cls(folder, saved["epoch"], saved["step"], saved["sums"], saved["history"])
        except Exception as error:
            raise _unusable(file, error) from None
        state.sums = {name: total.to(model.run.device) for name, total in state.sums.items()}
        return state

    def save(self, model: Pix2PixHD, rate: float) -> None:
        """Writes everything, `rate` being the learning rate of the epoch under way."""
        content = {
            "epoch": self.epoch,
            "step": self.step,
            "rate": rate,
            "sums": self.sums,
            "history": self.history,
            "execution": asdict(model.run),
            "model": model.state_dict(),
        }
        with atomic_path(self.folder / FILE) as temporary, open(temporary, "wb") as file:
            torch.save(content, file)  # to an open file, or a full disk would not be told as such

    def keep_as_constant_rate(self) -> None:
        """Keeps the state just saved beside those to come."""
        with atomic_path(self.folder / CONSTANT_RATE) as temporary:
            os.link(self.folder / FILE, temporary)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Counts a step and its losses; looks at them now and then. Raises InputError as check_finite does."""
        self.step += 1
        self.sums = {name: self.sums.get(name, 0) + loss.double() for name, loss in losses.items()}
        self.recent.append(losses)
        if len(self.recent) == CHECK_EVERY:
            self.check_finite()

    def end_epoch(self, rate: float) -> None:
        """Moves the epoch's mean losses to the history."""
        self.check_finite()
        means = {name: float(total) / self.step for name, total in self.sums.items()}
        self.history.append({"epoch": self.epoch + 1, "learning_rate": rate, **means})
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}

    def check_finite(self) -> None:
        """Raises InputError for the first step since the last look whose losses are NaN or infinite.

        Nothing is saved afterwards: the last state and the checkpoints are from before.
        """
        looked_at, self.recent = self.recent, []
        if not looked_at:
            return
        table = torch.stack([torch.stack(list(losses.values())) for losses in looked_at]).cpu()
        bad = (~table.isfinite().all(1)).nonzero()
        if len(bad):
            row = int(bad[0])
            values = ", ".join(f"{name} {value:.4g}" for name, value in zip(looked_at[0], table[row], strict=True))
            kept = sorted(self.folder.glob("epoch_*.safetensors"))
            raise InputError(
                "the training has diverged",
                expected="finite losses",
                found=f"{values} in epoch {self.epoch + 1}, step {self.step - len(looked_at) + row + 1}",
                hint=f"lower gan.learning_rate; the last good checkpoint is {kept[-1]}"
                if kept
                else "lower gan.learning_rate; there was no checkpoint yet",
            )


def open_state(file: Path, lazily: bool = True) -> dict:
    """The content of a saved state, `lazily` with its tensors left on disk. Raises InputError when it is damaged."""
    try:
        saved = torch.load(file, weights_only=True, map_location="cpu", mmap=lazily)
        _ = saved["epoch"], saved["step"], saved["rate"], saved["history"], saved["execution"]
        return saved
    except Exception as error:
        raise _unusable(file, error) from None


def check_execution(saved: dict, file: Path, model: Pix2PixHD) -> None:
    """Raises InputError when the state was made in another way: going on would give what neither way gives alone."""
    ours = asdict(model.run)
    differing = [name for name in ours if saved["execution"].get(name) != ours[name]]
    if differing:
        raise InputError(
            "the saved training ran in another way",
            file=file,
            found=", ".join(f"{name} {saved['execution'].get(name)}" for name in differing),
            expected=", ".join(f"{name} {ours[name]}" for name in differing),
            hint="set the gan parameters or choose the machine so, or delete its folder to start afresh",
        )


def disk_needed(model: Pix2PixHD, epochs: int, checkpoint_every_epochs: int) -> int:
    """Bytes that the kept checkpoints and two states, the present one and that of the constant rate, will take."""
    networks = model.generator, model.discriminator
    g, d = (sum(weight.numel() for weight in network.parameters()) for network in networks)
    checkpoints = -(-epochs // checkpoint_every_epochs)
    return FLOAT * (checkpoints * g + 2 * ((2 + ADAM) * g + (1 + ADAM) * d))


def _unusable(file: Path, error: Exception) -> InputError:
    return InputError(
        "the saved training state cannot be used",
        file=file,
        found=" ".join(str(error).split())[:200],
        expected="the state of this very training",
        hint="delete its folder to start the training afresh",
    )
