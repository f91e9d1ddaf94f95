"""False and missed enhancement (post minus pre), which an error averaged over a breast does not show."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair


def enhancement_shares(
    pre: np.ndarray, real: np.ndarray, synthetic: np.ndarray, breast: np.ndarray, lesion: np.ndarray, threshold: float
) -> dict[str, float]:
    """Return {"false", "missed", "real"}: shares (0 to 1) of the breast outside the lesion, of volumes (z, y, x).

    A voxel enhances if post minus pre is at least `threshold`, in the units of the images.
    "false": enhances in the synthetic volume but not in the real one. "missed": the reverse. "real": enhances in the
    real one.

    Raises InputError for unequal shapes, values that are not finite, or no breast outside the lesion.
    """
    outside = np.asarray(breast, bool) & ~np.asarray(lesion, bool)
    real, synthetic = (_enhances(pre, post, threshold) for post in (real, synthetic))
    if outside.shape != real.shape:
        raise InputError("the breast has another shape than the volumes", found=outside.shape, expected=real.shape)
    if not outside.any():
        raise InputError("there is no breast outside the lesion", expected="at least one voxel")
    real, synthetic = real[outside], synthetic[outside]
    return {
        "false": float((synthetic & ~real).mean()),
        "missed": float((real & ~synthetic).mean()),
        "real": float(real.mean()),
    }


def _enhances(pre: np.ndarray, post: np.ndarray, threshold: float) -> np.ndarray:
    pre, post = as_pair(pre, post)
    return post - pre >= threshold
