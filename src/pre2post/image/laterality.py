"""The two sides of a volume in LPS, whose columns run from the patient's right to left."""

import numpy as np


def contralateral(breast: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Return the healthy breast (z, y, x), bool: the half of `breast` without the lesion, split at its middle column.

    The result is empty if there is no lesion or if both halves hold a part of it.
    """
    breast, lesion = np.asarray(breast, bool), np.asarray(lesion, bool)
    if not breast.any():
        return breast.copy()
    right = np.arange(breast.shape[2]) < _middle(breast)
    affected = lesion[..., right].any(), lesion[..., ~right].any()
    if sum(affected) != 1:
        return np.zeros_like(breast)
    return breast & (~right if affected[0] else right)


def halves(body: np.ndarray) -> tuple[slice, slice]:
    """Return the columns of the patient's right and left half, split at the middle of the body (z, y, x).

    Split at the middle of the volume if the body is empty. Every column is in one half.
    """
    middle = _middle(body) if np.any(body) else (body.shape[2] - 1) / 2
    return slice(0, int(middle) + 1), slice(int(middle) + 1, body.shape[2])


def half_with_centre(mask: np.ndarray, sides: tuple[slice, slice]) -> slice:
    """Return the half that holds the centre of mass of a non-empty mask (z, y, x)."""
    centre = np.nonzero(mask)[2].mean()
    return sides[0] if centre < sides[0].stop - 0.5 else sides[1]


def _middle(mask: np.ndarray) -> float:
    """Return the column halfway between the first and last non-empty columns of a mask (z, y, x)."""
    columns = np.flatnonzero(np.asarray(mask).any(axis=(0, 1)))
    return (columns[0] + columns[-1]) / 2
