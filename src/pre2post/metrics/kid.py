"""Kernel inception distance (KID): the squared maximum mean discrepancy of two feature sets."""

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError

DEGREE, OFFSET = 3, 1.0  # Binkowski et al. 2018 (arXiv 1801.01401), section 4: k(x, y) = (x.y / d + 1)^3


def kid(a: ArrayLike, b: ArrayLike) -> float:
    """Return the KID of all feature vectors (n, d) and (m, d).

    The unbiased estimate of Binkowski et al. 2018, equation 4. Unlike a Frechet distance it does not grow for small
    sets. For two samples of one distribution it is around 0, by chance also negative.

    Raises InputError for fewer than two vectors per set, different numbers of features or values that are not finite.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(
            "these feature sets have no KID",
            found=f"shapes {x.shape} and {y.shape}",
            expected="(images, features), at least 2 images each, equal numbers of features",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("features hold values that are not finite", expected="no NaN or infinity")
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * float(_kernel(x, y).mean())


def _mean_of_pairs(x: np.ndarray) -> float:
    """Return the mean kernel of two different vectors of a set."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + OFFSET) ** DEGREE
