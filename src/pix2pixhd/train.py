"""The training loop."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

from pipeline.errors import InputError
from pipeline.progress import progress
from pix2pixhd.checkpoint import architecture, save_generator
from pix2pixhd.sampling import Batch, epoch_batches
from pix2pixhd.schedule import learning_rate
from pix2pixhd.state import TrainingState
from pix2pixhd.step import Pix2PixHD


def train(settings, seed: int, cases: Sequence[str], pre: np.ndarray, post: np.ndarray, resume: Path,
          after_epoch: Callable[[list[dict]], None]) -> list[Path]:
    """Trains a generator from `pre` to `post` slices and returns the kept checkpoints, oldest first.

    settings: the gan section of params.yaml. cases: the patient of each slice. pre, post: float32 (n, size, size),
    normalised (nominally 0 to 1), may be memory-mapped. resume: folder for checkpoints and the training state; a
    killed training started again with the same folder carries on and ends with the same bytes.
    after_epoch is called with the mean losses of every epoch so far.
    """
    # Initialise.
    torch.set_num_threads(settings.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    model = Pix2PixHD(settings, device)
    state = TrainingState.load_or_start(resume, model)
    if state.history:
        after_epoch(state.history)  # what a killed run had made of its losses may be gone

    # Main training loop.
    for epoch in range(state.epoch, settings.epochs):
        rate = learning_rate(settings.learning_rate, epoch, settings.epochs, settings.decay_share)
        model.set_learning_rate(rate)
        batches = epoch_batches(cases, seed, epoch, settings.slices_per_case, settings.batch_size, settings.flip,
                                settings.augment)
        todo = batches[state.step:]
        for batch in progress(todo, f"epoch {epoch + 1}/{settings.epochs}", len(batches), "step", state.step):
            losses = model.step(to_network(pre, batch, device), to_network(post, batch, device))
            state.add(losses)
            if state.step % settings.state_every == 0:
                state.check_finite()
                state.save(model)

        # Keep what this epoch brought.
        state.end_epoch(rate)
        after_epoch(state.history)
        if (epoch + 1) % settings.save_every == 0 or epoch + 1 == settings.epochs:
            save_generator(model.average, architecture(settings), resume / f"epoch_{epoch + 1:04d}.safetensors")
        state.save(model)

    return sorted(resume.glob("epoch_*.safetensors"))


def to_network(slices: np.ndarray, batch: Batch, device: torch.device) -> torch.Tensor:
    """A batch of normalised slices, moved as it says, as (N, 1, H, W) in the network's range: 0 to 1 is -1 to 1."""
    chosen = slices[batch.slices]
    images = torch.from_numpy(np.where(batch.flips[:, None, None], chosen[..., ::-1], chosen))[:, None].to(device)
    if batch.moves is not None:
        grid = affine_grid(torch.from_numpy(batch.moves).to(device), list(images.shape), align_corners=False)
        images = grid_sample(images, grid, align_corners=False)  # beyond the slice lies air, which is 0
    return images * 2 - 1


def check_size(size: int, multiple: int) -> None:
    """Raises InputError when slices of `size` pixels cannot be halved as often as the generator does."""
    if size % multiple:
        raise InputError("the slices do not fit the generator", found=f"slices.size {size}",
                         expected=f"a multiple of {multiple}, for its down-samplings",
                         todo="change slices.size or gan.downs")
