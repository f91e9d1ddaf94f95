"""Validation during a training: the Dice of complete volumes of the held-out patients, on the grid of the network."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from pre2post.segmentation.batches import VolumesInMemory


def validation_dice(
    predictor: "nnUNetPredictor", volumes: "VolumesInMemory", names: Sequence[str], bfloat16: bool, pool: Executor
) -> float:
    """Return the mean Dice over these nnU-Net cases; nnU-Net's sliding window segments each one."""

    def one(name: str) -> float:
        image, mask, _, _ = volumes.load_case(name)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(image[:]))
        predicted, true = logits.argmax(0) == 1, torch.from_numpy(mask[0]) == 1
        both = int(predicted.sum()) + int(true.sum())
        return 2 * int((predicted.cpu() & true).sum()) / both if both else 1.0

    return sum(pool.map(one, names)) / len(names)
