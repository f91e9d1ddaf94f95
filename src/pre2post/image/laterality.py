"""The two breasts of a volume in LPS, whose columns run from the patient's right to left."""

import numpy as np


def contralateral(breast: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """The breast (z, y, x), bool, without the lesion: the half of `breast` on the other side of its middle column.

    Empty when both halves hold some of the lesion, or there is no lesion: then neither is the healthy one.
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
    """The columns of the patient's right and left half: they meet at the middle of the body (z, y, x), none is lost.

    Without a body, at the middle of the volume.
    """
    middle = _middle(body) if np.any(body) else (body.shape[2] - 1) / 2
    return slice(0, int(middle) + 1), slice(int(middle) + 1, body.shape[2])


def half_with_centre(mask: np.ndarray, sides: tuple[slice, slice]) -> slice:
    """The one of the two halves that holds the centre of mass of a mask (z, y, x), which must not be empty."""
    centre = np.nonzero(mask)[2].mean()
    return sides[0] if centre < sides[0].stop - 0.5 else sides[1]


def _middle(mask: np.ndarray) -> float:
    """The column halfway between the first and the last that hold some of a mask (z, y, x)."""
    columns = np.flatnonzero(np.asarray(mask).any(axis=(0, 1)))
    return (columns[0] + columns[-1]) / 2
