"""nnU-Net's own trainer with the parameters of this project, for `nnUNetv2_train -tr MatchedTrainer`.

`bench/nnunet_commands.py` copies this file to nnU-Net's folder of external trainers, with matched.json next to it. Our
plans hold the momentum, which nnU-Net does not read there. The trainer also writes times, to split the
time of the command into parts.
"""

import json
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class MatchedTrainer(nnUNetTrainer):
    """nnU-Net's trainer with other parameters. Writes times.json: moments in seconds since 1970, and durations."""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  # the signature of nnU-Net
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        matched = json.loads(Path(__file__).with_name("matched.json").read_text())
        self.num_epochs, self.num_iterations_per_epoch = matched["epochs"], matched["num_iterations_per_epoch"]
        self.num_val_iterations_per_epoch = max(1, matched["num_iterations_per_epoch"] // 5)
        self.initial_lr = matched["learning_rate"]
        self.oversample_foreground_percent = matched["oversample_foreground"]
        self.times = {"epoch_ends_s": 0.0}

    def configure_optimizers(self):
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.configuration_manager.configuration.get("momentum", group["momentum"])
        return optimizer, schedule

    def train_step(self, batch: dict) -> dict:
        self.times.setdefault("first_step", time.time())
        return super().train_step(batch)

    def on_epoch_end(self) -> None:
        """End the epoch as nnU-Net does: draw progress.png, and save the network if it is the best so far."""
        start = time.time()
        super().on_epoch_end()
        self.times["epoch_ends_s"] += time.time() - start

    def on_train_end(self) -> None:
        super().on_train_end()
        self.times["trained"] = time.time()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        super().perform_actual_validation(save_probabilities)
        self.times["validated"] = time.time()
        (Path(self.output_folder) / "times.json").write_text(json.dumps(self.times))
