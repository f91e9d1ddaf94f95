"""The start of a training: from its own saved state, from one shared with a training of another length, or at zero."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.state import CONSTANT_RATE, FILE, TrainingState, open_state
from pre2post.pix2pixhd.step import Pix2PixHD


def begin(folder: Path, model: Pix2PixHD, rates: list[float], checkpoint_every_epochs: int) -> TrainingState:
    """Load the furthest usable state into `model` and return it; print its file.

    folder: of this training. Its sibling folders belong to trainings that differ only in number of epochs and decay.
    rates: the learning rate of every epoch.
    Raises InputError if a saved state is damaged or was made with other run settings.
    """
    own = folder / FILE
    if own.exists():
        state = TrainingState.load(own, folder, model)
        _print_resumed(model, state, own)
        return state
    shared = _latest_shared(folder, rates, asdict(model.runtime))
    if shared is None:
        return TrainingState(folder)
    state = TrainingState.load(shared, folder, model)
    if model.group.is_main_process:
        _copy_checkpoints(shared.parent, folder, state.epoch, checkpoint_every_epochs)
    _print_resumed(model, state, shared, "; up to this step the learning rates are the same")
    return state


def finish(folder: Path) -> None:
    """Keep of a finished training only the state that a longer training can start from, and delete older ones."""
    for file in folder.parent.glob(f"*/{CONSTANT_RATE}"):
        if file.parent != folder and not (file.parent / FILE).exists():
            shutil.rmtree(file.parent)
    last = open_state(folder / CONSTANT_RATE)["epoch"]
    for checkpoint in folder.glob("epoch_*.safetensors"):
        if epoch_of(checkpoint) > last:
            checkpoint.unlink()
    (folder / FILE).unlink()


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the file of the generator after `epoch` epochs."""
    return folder / f"epoch_{epoch:04d}.safetensors"


def epoch_of(checkpoint: Path) -> int:
    """Return the epoch of a file named by checkpoint_path."""
    return int(checkpoint.stem.removeprefix("epoch_"))


def _latest_shared(folder: Path, rates: list[float], runtime: dict[str, Any]) -> Path | None:
    """Find the furthest state of sibling trainings in which all learning rates so far equal this training's."""
    found = []
    for file in folder.parent.glob("*/*.pt"):
        if file.parent == folder or file.name not in (FILE, CONSTANT_RATE):
            continue
        saved = open_state(file)
        used = [row["learning_rate"] for row in saved["history"]] + [saved["rate"]] * (saved["step"] > 0)
        if used == rates[: len(used)] and saved["runtime"] == runtime:
            found.append(((saved["epoch"], saved["step"]), file))
    return max(found)[1] if found else None


def _copy_checkpoints(source: Path, target: Path, last: int, checkpoint_every_epochs: int) -> None:
    """Copy the checkpoints that both trainings keep, up to epoch `last`."""
    for checkpoint in sorted(source.glob("epoch_*.safetensors")):
        if epoch_of(checkpoint) <= last and epoch_of(checkpoint) % checkpoint_every_epochs == 0:
            with atomic_path(target / checkpoint.name) as temporary:
                shutil.copyfile(checkpoint, temporary)


def _print_resumed(model: Pix2PixHD, state: TrainingState, file: Path, reason: str = "") -> None:
    if model.group.is_main_process:
        print(f"resumes at epoch {state.epoch + 1}, step {state.step + 1}, from {file}{reason}", flush=True)
