"""nnU-Net's trainer, made repeatable to the byte and fit for a CPU; loss, augmentation and schedule are its own."""

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
from pre2post.segmentation.training_state import load_state, save_state

HISTORY = {
    "learning_rate": "lrs",
    "train_loss": "train_losses",
    "validation_loss": "val_losses",
    "pseudo_dice": "mean_fg_dice",
}  # our columns, and nnU-Net's names for them
PLOT_FROM_EPOCHS = 50  # nnU-Net's progress.png takes seconds to draw and says little about a shorter training


class RepeatableTrainer(nnUNetTrainer):
    """nnU-Net's trainer with given case names instead of a split of its own, and nothing that depends on the clock.

    Set `split`, `bfloat16` and the numbers of epochs and steps before `initialize`, which builds the learning rate's
    schedule from them. Every `resume_every_steps` steps the whole state goes to `state_folder`, if there is one, and training
    starts from what lies there. `report` is given the history after every epoch.
    """

    split: dict[str, list[str]]
    bfloat16: bool = False
    title: str = "train"
    state_folder: Path | None = None
    resume_every_steps: int = 250
    report: Callable[[list[dict]], None] = staticmethod(lambda history: None)

    def do_split(self) -> tuple[list[str], list[str]]:
        return self.split["train"], self.split["val"]

    @staticmethod
    def get_training_transforms(*args, **kwargs):
        """nnU-Net's augmentation, its blur without the stop-watch that picks one of two algorithms by their speed."""
        transforms = nnUNetTrainer.get_training_transforms(*args, **kwargs)
        for step in transforms.transforms:
            if isinstance(step, RandomTransform) and isinstance(step.transform, GaussianBlurTransform):
                step.transform.benchmark = False
        return transforms

    def configure_optimizers(self):
        """nnU-Net's SGD and schedule, with the momentum of the plan where that names one."""
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.configuration_manager.configuration.get("momentum", group["momentum"])
        return optimizer, schedule

    def train_step(self, batch: dict) -> dict:
        """One step of SGD. The network, not the loss, computes in bfloat16 where that is set, which needs no gradient
        scaler; nnU-Net's own float16, for GPUs without it, does."""
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
        """nnU-Net's, but a loss that is no number ends the training: it would go on to the end and predict nothing."""
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
        """nnU-Net's, without durations, without checkpoints on the way (see training_state), and with fewer plots."""
        self.logger.log("epoch_end_timestamps", 0.0, self.current_epoch)
        for values in self.logger.get_checkpoint().values():
            values[:] = np.asarray(values).tolist()  # plain numbers: files with them load without running code
        said = {name: self.logger.get_value(name, step=-1) for name in ("train_losses", "val_losses", "mean_fg_dice")}
        self.print_to_log_file(
            "train_loss {train_losses:.4f}  val_loss {val_losses:.4f}  Pseudo dice {mean_fg_dice:.4f}".format(**said)
        )
        self.report(self._history())
        if self.current_epoch == self.num_epochs - 1 >= PLOT_FROM_EPOCHS - 1:
            self.logger.plot_progress_png(self.output_folder)
        self.current_epoch += 1

    def _history(self) -> list[dict]:
        """A row an epoch so far, six digits each."""
        columns = {name: self.logger.get_value(logged, step=None) for name, logged in HISTORY.items()}
        return [
            {"epoch": epoch + 1, **{name: float(f"{values[epoch]:.6g}") for name, values in columns.items()}}
            for epoch in range(self.current_epoch + 1)
        ]

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's checkpoint, whole or not at all; through a file object, since a file's name enters its bytes."""
        with atomic_path(Path(filename)) as temporary, open(temporary, "wb") as file:
            super().save_checkpoint(file)

    def run_training(self) -> None:
        """nnU-Net's loop, which can start within an epoch."""
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
        """The steps that the epoch lacks; `losses` grows by theirs."""
        self.network.train()
        while len(losses) < self.num_iterations_per_epoch:
            losses.append(self.train_step(next(self.dataloader_train)))
            if self.state_folder and self._steps_done(losses) % self.resume_every_steps == 0:
                save_state(self.state_folder, self, losses)
        self.on_train_epoch_end(losses)

    def _steps_done(self, losses: list[dict]) -> int:
        return self.current_epoch * self.num_iterations_per_epoch + len(losses)

    def plot_network_architecture(self) -> None:
        """Nothing: nnU-Net's drawing needs a package that no longer works."""

    def _save_debug_information(self) -> None:
        """Nothing: it names the computer and the addresses of objects."""

    def print_to_log_file(self, *args, also_print_to_console: bool = False, add_timestamp: bool = False) -> None:
        """To one log file, without the time of day in it or in its name, so that equal trainings leave equal logs."""
        self.log_file = str(Path(self.output_folder) / "training_log.txt")
        super().print_to_log_file(*args, also_print_to_console=False, add_timestamp=False)
