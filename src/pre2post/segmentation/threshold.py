"""The simplest segmenter: one threshold on the grey level, and of what remains in the breasts the largest piece.

It shows what no learning at all would reach on the same volumes.
"""

from collections.abc import Iterable

import numpy as np

from pre2post.image.masks import lesions
from pre2post.metrics.mask_metrics import dice

LEVELS = np.round(np.arange(0.05, 1.5, 0.025), 3)  # normalised intensity
VOXELS = (1.0, 1.0, 1.0)  # pieces are compared by their number of voxels


def segment_by_threshold(image: np.ndarray, breast: np.ndarray, level: float) -> np.ndarray:
    """Return the largest connected piece of the breast at or above a level, uint8 (z, y, x); `image` is normalised."""
    pieces, _ = lesions((image >= level) & breast, VOXELS)
    return (pieces == 1).astype(np.uint8)


def choose_threshold(patients: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """Return the level of LEVELS with the highest mean Dice over patients; of equals the lowest.

    patients: normalised image, breast and true mask of each, (z, y, x).
    """
    scores = [
        [dice(segment_by_threshold(image, breast, level), true) for level in LEVELS] for image, breast, true in patients
    ]
    return float(LEVELS[int(np.mean(scores, axis=0).argmax())])
