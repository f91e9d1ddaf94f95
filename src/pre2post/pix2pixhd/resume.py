"""Where a training begins: at its own saved state, at what it shares with one of other length, or afresh."""

import shutil
from dataclasses import asdict
from pathlib import Path

from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.state import CONSTANT_RATE, FILE, TrainingState, open_state
from pre2post.pix2pixhd.step import Pix2PixHD


def begin(folder: Path, model: Pix2PixHD, rates: list[float], checkpoint_every_epochs: int) -> TrainingState:
    """The state to go on from, put into `model`, and a line that says which.

    `folder` is this training's; beside it lie those that differ in the number of epochs and the decay alone. `rates`:
    the learning rate of every epoch. Raises InputError when a saved state is damaged or was made in another way.
    """
    own = folder / FILE
    if own.exists():
        state = TrainingState.load(own, folder, model)
        _say(model, state, own)
        return state
    shared = _latest_shared(folder, rates, asdict(model.run))
    if shared is None:
        return TrainingState(folder)
    state = TrainingState.load(shared, folder, model)
    if model.group.is_main_process:
        _take_checkpoints(shared.parent, folder, state.epoch, checkpoint_every_epochs)
    _say(model, state, shared, "; up to there its learning rates are those of this training")
    return state


def finish(folder: Path) -> None:
    """Leaves of a finished training what a longer one could go on from, and nothing of those before it."""
    for file in folder.parent.glob(f"*/{CONSTANT_RATE}"):
        if file.parent != folder and not (file.parent / FILE).exists():
            shutil.rmtree(file.parent)
    last = open_state(folder / CONSTANT_RATE)["epoch"]
    for checkpoint in folder.glob("epoch_*.safetensors"):
        if epoch_of(checkpoint) > last:
            checkpoint.unlink()
    (folder / FILE).unlink()


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """The file of the generator after `epoch` epochs."""
    return folder / f"epoch_{epoch:04d}.safetensors"


def epoch_of(checkpoint: Path) -> int:
    """The inverse of checkpoint_path."""
    return int(checkpoint.stem.removeprefix("epoch_"))


def _latest_shared(folder: Path, rates: list[float], execution: dict) -> Path | None:
    """The furthest state of the other trainings whose every learning rate so far is this training's too."""
    found = []
    for file in folder.parent.glob("*/*.pt"):
        if file.parent == folder or file.name not in (FILE, CONSTANT_RATE):
            continue
        saved = open_state(file)
        used = [row["learning_rate"] for row in saved["history"]] + [saved["rate"]] * (saved["step"] > 0)
        if used == rates[: len(used)] and saved["execution"] == execution:
            found.append(((saved["epoch"], saved["step"]), file))
    return max(found)[1] if found else None


def _take_checkpoints(source: Path, target: Path, last: int, checkpoint_every_epochs: int) -> None:
    """Copies the checkpoints that both trainings keep, up to epoch `last`."""
    for checkpoint in sorted(source.glob("epoch_*.safetensors")):
        if epoch_of(checkpoint) <= last and epoch_of(checkpoint) % checkpoint_every_epochs == 0:
            with atomic_path(target / checkpoint.name) as temporary:
                shutil.copyfile(checkpoint, temporary)


def _say(model: Pix2PixHD, state: TrainingState, file: Path, reason: str = "") -> None:
    if model.group.is_main_process:
        print(f"carries on with epoch {state.epoch + 1}, step {state.step + 1}, from {file}{reason}", flush=True)
