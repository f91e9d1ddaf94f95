"""nnU-Net's own trainer with the numbers that this project trains by, for `nnUNetv2_train -tr MatchedTrainer`.

`bench/nnunet_commands.py` copies this file to where nnU-Net looks for trainers from outside, and lays matched.json
beside it: epochs, iterations, learning_rate. Momentum and the patch of training are in the plans, as ours are; nnU-Net
knows neither there. It also notes when things happen, so that the command's time can be told apart.
"""

import json
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class MatchedTrainer(nnUNetTrainer):
    """Everything but the numbers is nnU-Net's. Leaves times.json (seconds since 1970, or lasting) in its folder."""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        matched = json.loads(Path(__file__).with_name("matched.json").read_text())
        self.num_epochs, self.num_iterations_per_epoch = matched["epochs"], matched["iterations"]
        self.num_val_iterations_per_epoch = max(1, matched["iterations"] // 5)  # as ours; nnU-Net: 50 to 250
        self.initial_lr = matched["learning_rate"]
        own = self.configuration_manager.configuration
        self.window, own["patch_size"] = own["patch_size"], own.get("training_patch_size", own["patch_size"])
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
        """nnU-Net's: draws progress.png every epoch, and saves the network whenever it is the best so far."""
        start = time.time()
        super().on_epoch_end()
        self.times["epoch_ends_s"] += time.time() - start

    def on_train_end(self) -> None:
        super().on_train_end()
        self.times["trained"] = time.time()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's, with the plan's window, as in prediction: the small patch of training would take longer."""
        self.configuration_manager.configuration["patch_size"] = self.window
        super().perform_actual_validation(save_probabilities)
        self.times["validated"] = time.time()
        (Path(self.output_folder) / "times.json").write_text(json.dumps(self.times))
