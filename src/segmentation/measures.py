"""What a predicted mask is worth beside the true one."""

import numpy as np


def dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks, anything but 0 being tumour (Dice 1945).

    Two empty masks agree: 1. One empty mask: 0. nnU-Net says NaN for the former and leaves it out of its mean.
    """
    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape:
        raise ValueError(f"masks of shape {predicted.shape} and {true.shape} cannot be compared")
    total = int(predicted.sum()) + int(true.sum())
    return 2.0 * int((predicted & true).sum()) / total if total else 1.0
