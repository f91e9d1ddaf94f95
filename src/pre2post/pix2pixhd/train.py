"""The training loop."""

import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pre2post.core.progress import progress
from pre2post.pix2pixhd.checkpoint import save_generator
from pre2post.pix2pixhd.dataset import PairedSlices, load_batches
from pre2post.pix2pixhd.distributed import Group
from pre2post.pix2pixhd.resume import begin, checkpoint_path
from pre2post.pix2pixhd.runtime import RuntimeConfig, keep_freed_memory
from pre2post.pix2pixhd.sampling import epoch_batches
from pre2post.pix2pixhd.schedule import GLOBAL, learning_rates, training_stage
from pre2post.pix2pixhd.state import CONSTANT_RATE, TrainingState, disk_needed
from pre2post.pix2pixhd.step import Pix2PixHD
from pre2post.pix2pixhd.vgg import PerceptualLoss

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams

GIGABYTE = 1e9


def train(
    settings: "GanParams",
    seed: int,
    cases: Sequence[str],
    pairs: PairedSlices,
    folder: Path,
    runtime: RuntimeConfig,
    after_epoch: Callable[[list[dict[str, Any]]], None],
    group: Group | None = None,
    trained_on: Collection[str] | None = None,
) -> list[Path]:
    """Train a generator from pre- to post-contrast slices and return the kept checkpoints, oldest first.

    A killed training, started again with the same folder, resumes and ends with the same bytes.

    settings: the gan section of params.yaml.
    cases: the patient of each slice.
    folder: for checkpoints and the training state. Sibling folders must belong to trainings that differ only in number
        of epochs and decay.
    after_epoch: called with the mean losses of all epochs so far.
    trained_on: digests of the training patients for the checkpoints, as in save_generator.
    """
    # Initialise.
    group = group or Group()
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True  # every batch has the same shape
    torch.manual_seed(seed)
    perceptual = load_perceptual(settings)
    model = Pix2PixHD(settings, runtime, group, perceptual, pairs.neighbours)
    rates = learning_rates(settings)
    shows_lesion = pairs.shows_lesion if settings.lesion_slices else None
    folder.mkdir(parents=True, exist_ok=True)
    if group.is_main_process:
        print_setup(settings, model, folder)
    state = begin(folder, model, rates, settings.checkpoint_every_epochs)
    group.check_equal((state.epoch, state.step), "the epoch and step to resume at")
    if group.is_main_process:
        write_missing_outputs(state, model, rates, folder, trained_on)
    if state.history and group.is_main_process:
        after_epoch(state.history)  # a killed run may have lost what it had written

    # Main training loop.
    for epoch, rate in list(enumerate(rates))[state.epoch :]:
        stage = training_stage(epoch, settings.global_epochs, settings.fix_global_epochs)
        if stage != model.training_stage:
            model.start_stage(stage)
        model.set_learning_rate(rate)
        batches = epoch_batches(
            cases,
            seed,
            epoch,
            settings.slices_per_case,
            runtime.batch_size,
            settings.flip,
            settings.augment,
            shows_lesion,
            settings.lesion_slices,
        )
        own = [batch.shard(group.rank, group.processes) for batch in batches[state.step :]]
        title = f"epoch {epoch + 1}/{settings.epochs}"
        images = progress(
            load_batches(pairs, own, runtime.device),
            title,
            len(batches),
            "step",
            state.step,
            quiet=not group.is_main_process,
        )
        for batch, (pre, post, lesion) in zip(own, images, strict=True):
            state.add(model.step(pre, post, lesion, batch.share))
            if group.is_main_process and state.step % settings.resume_every_steps == 0:
                state.check_finite()
                state.save(model, rate)

        # Save the results of this epoch.
        state.end_epoch(rate)
        if group.is_main_process:
            after_epoch(state.history)
            last = epoch + 1 == settings.epochs
            if ((epoch + 1) % settings.checkpoint_every_epochs == 0 or last) and model.training_stage != GLOBAL:
                save_generator(model.ema, checkpoint_path(folder, epoch + 1), trained_on)
            state.save(model, rate)
            if ends_constant_rate(rates, state.epoch):
                state.keep_as_constant_rate()

    return sorted(folder.glob("epoch_*.safetensors"))


def write_missing_outputs(
    state: TrainingState, model: Pix2PixHD, rates: list[float], folder: Path, trained_on: Collection[str] | None
) -> None:
    """Write the checkpoint or state that the previous epoch lacks because its run was killed or had another length."""
    if state.step or not state.epoch:
        return
    last = checkpoint_path(folder, state.epoch)
    if state.epoch == len(rates) and not last.exists():
        save_generator(model.ema, last, trained_on)
    if ends_constant_rate(rates, state.epoch) and not (folder / CONSTANT_RATE).exists():
        state.save(model, rates[state.epoch - 1])
        state.keep_as_constant_rate()


def ends_constant_rate(rates: list[float], epochs: int) -> bool:
    """Return whether the learning rate was constant for `epochs` epochs and then falls, or the training ends."""
    return rates[epochs - 1] == rates[0] and (epochs == len(rates) or rates[epochs] != rates[0])


def load_perceptual(settings: "GanParams") -> PerceptualLoss | None:
    """Load the VGG19 loss if it has a weight and a weights file."""
    if settings.lambda_vgg and settings.vgg_weights:
        return PerceptualLoss.load(Path(settings.vgg_weights), settings.vgg_sha256)
    return None


def print_setup(settings: "GanParams", model: Pix2PixHD, folder: Path) -> None:
    """Print before the training how it runs and how much disk it needs."""
    print(f"trains on {model.runtime}")
    if model.perceptual:
        vgg = "on"
    elif settings.lambda_vgg:
        vgg = "off, gan.vgg_weights names no weights file"
    else:
        vgg = "off, its weight is 0"
    print(f"VGG19 perceptual loss: {vgg}")
    needed = disk_needed(model, settings.epochs, settings.checkpoint_every_epochs) / GIGABYTE
    free = shutil.disk_usage(folder).free / GIGABYTE
    print(f"disk: {needed:.2g} GB for checkpoints and state in {folder}, {free:.0f} GB are free", flush=True)
