"""nnU-Net's trainer, repeatable to the byte and fast enough on a CPU; loss, augmentation and schedule are nnU-Net's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.core.progress import progress
from pre2post.segmentation.nnunet import Fold
from pre2post.segmentation.training_state import load_state, save_state

HISTORY = {
    "learning_rate": "lrs",
    "train_loss": "train_losses",
    "validation_loss": "val_losses",
    "pseudo_dice": "mean_fg_dice",
}  # our columns: nnU-Net's names
PLOT_FROM_EPOCHS = 50  # shorter trainings get no progress.png, which takes seconds to draw


class RepeatableTrainer(nnUNetTrainer):
    """nnU-Net's trainer with a given split, and without anything that depends on the clock.

    Set `split`, `bfloat16` and the numbers of epochs and steps before `initialize`, which builds the schedule of the
    learning rate from them.

    Attributes:
        split: The nnU-Net cases that train and validate.
        bfloat16: Whether the network computes in bfloat16.
        title: The name of the training in messages.
        state_folder: The folder of the saved state, from which the training resumes; None: no state is saved.
        resume_every_steps: Steps between saves of the state.
        report: Called after every epoch with the history.
    """

    split: Fold
    bfloat16: bool = False
    title: str = "train"
    state_folder: Path | None = None
    resume_every_steps: int = 250
    report: Callable[[list[dict]], None] = staticmethod(lambda history: None)

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
        """Return nnU-Net's SGD and schedule, with the momentum of the plan if it has one."""
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.configuration_manager.configuration.get("momentum", group["momentum"])
        return optimizer, schedule

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

    def on_epoch_end(self) -> None:
        """Log the epoch as nnU-Net does, without durations, intermediate checkpoints (see training_state) and plots."""
        self.logger.log("epoch_end_timestamps", 0.0, self.current_epoch)
        for values in self.logger.get_checkpoint().values():
            values[:] = np.asarray(values).tolist()  # plain numbers load without running code
        logged = {name: self.logger.get_value(name, step=-1) for name in ("train_losses", "val_losses", "mean_fg_dice")}
        self.print_to_log_file(
            "train_loss {train_losses:.4f}  val_loss {val_losses:.4f}  Pseudo dice {mean_fg_dice:.4f}".format(**logged)
        )
        self.report(self._history())
        if self.current_epoch == self.num_epochs - 1 >= PLOT_FROM_EPOCHS - 1:
            self.logger.plot_progress_png(self.output_folder)
        self.current_epoch += 1

    def _history(self) -> list[dict]:
        """Return one row per epoch so far, with six digits."""
        columns = {name: self.logger.get_value(logged, step=None) for name, logged in HISTORY.items()}
        return [
            {"epoch": epoch + 1, **{name: float(f"{values[epoch]:.6g}") for name, values in columns.items()}}
            for epoch in range(self.current_epoch + 1)
        ]

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint atomically, through a file object, since torch stores the name of a path."""
        with atomic_path(Path(filename)) as temporary, open(temporary, "wb") as file:
            super().save_checkpoint(file)

    def run_training(self) -> None:
        """Run nnU-Net's loop, which can resume within an epoch."""
        self.on_train_start()
        losses = load_state(self.state_folder, self) if self.state_folder else []
        done, steps = self._steps_done(losses), self.num_epochs * self.num_iterations_per_epoch
        with progress((), self.title, total=steps, unit="step", start=done) as self.bar:
            while self.current_epoch < self.num_epochs:
                if not losses:
                    self.on_epoch_start()
                    self.on_train_epoch_start()
                self._train_epoch(losses)
                with torch.no_grad():
                    self.on_validation_epoch_start()
                    self.on_validation_epoch_end(
                        [
                            self.validation_step(next(self.dataloader_val))
                            for _ in range(self.num_val_iterations_per_epoch)
                        ]
                    )
                self.on_epoch_end()
                losses = []
        self.on_train_end()

    def _train_epoch(self, losses: list[dict]) -> None:
        """Take the remaining steps of the epoch and append their losses to `losses`."""
        self.network.train()
        while len(losses) < self.num_iterations_per_epoch:
            losses.append(self.train_step(next(self.dataloader_train)))
            if self.state_folder and self._steps_done(losses) % self.resume_every_steps == 0:
                save_state(self.state_folder, self, losses)
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
