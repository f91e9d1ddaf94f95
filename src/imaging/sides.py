"""The two breasts of a volume in LPS, whose columns run from the patient's right to left."""

import numpy as np


def contralateral(breast: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """The breast (z, y, x), bool, without the lesion: the half of `breast` on the other side of its middle column.

    Empty when both halves hold some of the lesion, or there is no lesion: then neither is the healthy one.
    """
    breast, lesion = np.asarray(breast, bool), np.asarray(lesion, bool)
    if not breast.any():
        return breast.copy()
    columns = np.flatnonzero(breast.any(axis=(0, 1)))
    right = np.arange(breast.shape[2]) < (columns[0] + columns[-1]) / 2
    affected = lesion[..., right].any(), lesion[..., ~right].any()
    if sum(affected) != 1:
        return np.zeros_like(breast)
    return breast & (~right if affected[0] else right)
