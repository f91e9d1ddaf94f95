"""nnU-Net's trainer, repeatable to the byte and fast enough on a CPU; loss, augmentation and schedule are nnU-Net's."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.dataloading import data_loader
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from pre2post.core.device import torch_workers
from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.core.progress import progress
from pre2post.segmentation.batches import BatchesAhead, VolumesInMemory
from pre2post.segmentation.cpu_network import arrange_for_cpu, gradient_by_patch
from pre2post.segmentation.nnunet import Fold
from pre2post.segmentation.training_state import load_state, save_state
from pre2post.segmentation.validation import validation_dice

HISTORY = {
    "learning_rate": "lrs",
    "train_loss": "train_losses",
    "validation_dice": "mean_fg_dice",
}  # our columns: nnU-Net's names


class RepeatableTrainer(nnUNetTrainer):
    """nnU-Net's trainer with a given split, and without anything that depends on the clock.

    Set `split`, `bfloat16`, `warmup_epochs` and the numbers of epochs and steps before `initialize`, which builds the
    schedule of the learning rate from them.

    Attributes:
        split: The nnU-Net cases that train and validate.
        bfloat16: Whether the network computes in bfloat16.
        threads: CPU threads of a step.
        warmup_epochs: Epochs in which the learning rate rises, before nnU-Net's schedule reaches its full value.
        validate_every_epochs: Epochs between validations on complete volumes; the last epoch always validates.
        restarts: How often this training started again with another seed.
        title: The name of the training in messages.
        state_folder: The folder of the saved state, from which the training resumes; None: no state is saved.
        resume_every_seconds: Seconds between saves of the state.
        report: Called after every epoch with the history.
    """

    split: Fold
    bfloat16: bool = False
    threads: int = 1
    warmup_epochs: int = 0
    validate_every_epochs: int = 1
    restarts: int = 0
    title: str = "train"
    state_folder: Path | None = None
    resume_every_seconds: float = 60.0
    report: Callable[[list[dict]], None] = staticmethod(lambda history: None)

    @property
    def on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def initialize(self) -> None:
        super().initialize()
        if self.on_cpu:
            self.dataset_class = VolumesInMemory
            arrange_for_cpu(self.network)

    def do_split(self) -> tuple[list[str], list[str]]:
        return self.split["train"], self.split["val"]

    @staticmethod
    def get_training_transforms(*args, **kwargs):
        """Return nnU-Net's augmentation. Its blur does not time two algorithms to choose the faster one."""
        transforms = nnUNetTrainer.get_training_transforms(*args, **kwargs)
        for step in transforms.transforms:
            if isinstance(step, RandomTransform) and isinstance(step.transform, GaussianBlurTransform):
                step.transform.benchmark = False
        return transforms

    def configure_optimizers(self):
        """Return nnU-Net's SGD and schedule, with the momentum of the plan if it has one, and the warm-up."""
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.configuration_manager.configuration.get("momentum", group["momentum"])
        return optimizer, WarmUp(schedule, optimizer, self.warmup_epochs)

    def train_step(self, batch: dict) -> dict:
        """Take one step of SGD; the network, but not the loss, computes in bfloat16 if that is set.

        bfloat16 needs no gradient scaler. nnU-Net's float16, for GPUs without bfloat16, does.
        """
        self.bar.update()
        if self.device.type == "cuda" and not self.bfloat16:
            return super().train_step(batch)
        data = batch["data"].to(self.device, non_blocking=True)
        targets = [target.to(self.device, non_blocking=True) for target in batch["target"]]
        self.optimizer.zero_grad(set_to_none=True)
        if self.on_cpu and not self.configuration_manager.batch_dice:
            loss = gradient_by_patch(self.network, self.loss, data, targets, self.bfloat16, self.pool)
        else:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                outputs = self.network(data)
            loss = self.loss([output.float() for output in outputs], targets)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)  # as nnU-Net does
        self.optimizer.step()
        return {"loss": loss.detach().cpu().numpy()}

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """Raises InputError if the loss is not finite: nnU-Net would train to the end and predict nothing."""
        super().on_train_epoch_end(train_outputs)
        if not np.isfinite(self.logger.get_value("train_losses", step=-1)):
            raise InputError(
                f"the training of {self.title} diverged in epoch {self.current_epoch}",
                found="a loss that is not finite",
                hint="lower segmentation.learning_rate",
            )

    def on_epoch_start(self) -> None:
        self.logger.log("epoch_start_timestamps", 0.0, self.current_epoch)

    def validate(self) -> None:
        """Log the mean Dice of the complete held-out volumes as nnU-Net's pseudo Dice, or NaN in other epochs.

        nnU-Net validates on a few random patches, which tell a network that learned nothing from others only by chance.
        """
        ends, last = self.current_epoch + 1, self.current_epoch + 1 == self.num_epochs
        self.dice = math.nan
        if last or ends % self.validate_every_epochs == 0:
            self.network.eval()
            self.set_deep_supervision_enabled(False)
            names = self.split["val"]
            self.dice = validation_dice(self.predictor, self.validation_volumes, names, self.bfloat16, self.pool)
            self.set_deep_supervision_enabled(self.enable_deep_supervision)
        self.logger.log("mean_fg_dice", self.dice, self.current_epoch)
        self.logger.log("dice_per_class_or_region", [self.dice], self.current_epoch)
        self.logger.log("val_losses", math.nan, self.current_epoch)

    def on_epoch_end(self) -> None:
        """Log the epoch as nnU-Net does, without durations, intermediate checkpoints (see training_state) and plots."""
        self.logger.log("epoch_end_timestamps", 0.0, self.current_epoch)
        for values in self.logger.get_checkpoint().values():
            values[:] = np.asarray(values).tolist()  # plain numbers load without running code
        loss = self.logger.get_value("train_losses", step=-1)
        self.print_to_log_file(f"train_loss {loss:.4f}  validation Dice {self.dice:.4f}")
        self.report(self._history())
        self.current_epoch += 1

    def _history(self) -> list[dict]:
        """Return one row per epoch so far, with six digits; None where an epoch has no value."""
        columns = {name: self.logger.get_value(logged, step=None) for name, logged in HISTORY.items()}
        return [
            {
                "epoch": epoch + 1,
                **{name: _rounded(values[epoch]) for name, values in columns.items()},
                "restarts": self.restarts,
            }
            for epoch in range(self.current_epoch + 1)
        ]

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint atomically, through a file object, since torch stores the name of a path."""
        with atomic_path(Path(filename)) as temporary, open(temporary, "wb") as file:
            super().save_checkpoint(file)

    def run_training(self) -> None:
        """Run nnU-Net's loop, which can resume within an epoch. `dice` is the Dice of the last validation."""
        self.on_train_start()
        losses = load_state(self.state_folder, self) if self.state_folder else []
        done, steps = self._steps_done(losses), self.num_epochs * self.num_iterations_per_epoch
        with self._workers(), progress((), self.title, total=steps, unit="step", start=done) as self.bar:
            self.saved_s = time.monotonic()
            while self.current_epoch < self.num_epochs:
                if not losses:
                    self.on_epoch_start()
                    self.on_train_epoch_start()
                self._train_epoch(losses)
                self.validate()
                self.on_epoch_end()
                losses = []
        self.on_train_end()

    @contextlib.contextmanager
    def _workers(self) -> Iterator[None]:
        """Within the block, there are threads for the batches, patches and volumes, and nnU-Net limits none of them."""
        patches = self.batch_size if not self.configuration_manager.batch_dice else 1
        each = max(1, self.threads // patches)
        kept = data_loader.threadpool_limits
        vars(data_loader).update(threadpool_limits=_no_limits)
        self.validation_volumes = self.get_tr_and_val_datasets()[1]
        self.batches = BatchesAhead(self.dataloader_train)
        self.predictor = nnUNetPredictor(use_mirroring=False, device=self.device, allow_tqdm=False)
        self.predictor.manual_initialization(
            self.network, self.plans_manager, self.configuration_manager, None, self.dataset_json, self.title, None
        )
        try:
            with torch_workers(max(1, self.threads // each) if self.on_cpu else 1, each) as self.pool:
                yield
        finally:
            self.batches.close()
            vars(data_loader).update(threadpool_limits=kept)

    def _train_epoch(self, losses: list[dict]) -> None:
        """Take the remaining steps of the epoch and append their losses to `losses`."""
        self.network.train()
        while len(losses) < self.num_iterations_per_epoch:
            losses.append(self.train_step(next(self.batches)))
            if self.state_folder and time.monotonic() - self.saved_s >= self.resume_every_seconds:
                save_state(self.state_folder, self, losses)
                self.saved_s = time.monotonic()
        self.on_train_epoch_end(losses)

    def _steps_done(self, losses: list[dict]) -> int:
        return self.current_epoch * self.num_iterations_per_epoch + len(losses)

    def plot_network_architecture(self) -> None:
        """Do nothing: nnU-Net's drawing needs a package that no longer works."""

    def _save_debug_information(self) -> None:
        """Do nothing: nnU-Net writes the name of the computer and the addresses of objects."""

    def print_to_log_file(self, *args, also_print_to_console: bool = False, add_timestamp: bool = False) -> None:
        """Write to one log file without times, so that equal trainings write equal logs."""
        self.log_file = str(Path(self.output_folder) / "training_log.txt")
        super().print_to_log_file(*args, also_print_to_console=False, add_timestamp=False)


class WarmUp:
    """A schedule whose learning rate rises linearly over the first epochs."""

    def __init__(self, schedule, optimizer: torch.optim.Optimizer, epochs: int):
        self.schedule, self.optimizer, self.epochs = schedule, optimizer, epochs

    def step(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 0."""
        self.schedule.step(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] *= min(1.0, (epoch + 1) / (self.epochs + 1))


def _no_limits(**_) -> contextlib.AbstractContextManager:
    """Replace threadpool_limits, which searches all libraries for every batch; the thread of batches has a limit."""
    return contextlib.nullcontext()


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
