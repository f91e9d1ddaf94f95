"""Kernel distance (KID): the squared maximum mean discrepancy of two feature sets, unbiased whatever their size."""

import numpy as np

from pre2post.core.errors import InputError

DEGREE, OFFSET = 3, 1.0  # Binkowski et al. 2018 (arXiv 1801.01401), section 4: k(x, y) = (x.y / d + 1)^3


def kernel_distance(a, b) -> float:
    """KID of feature vectors (n, d) and (m, d), over all of them; around 0, and below it by chance, for equal sources.

    The unbiased estimate of Binkowski et al. 2018, equation 4: unlike a Frechet distance it does not grow when the
    sets are small. Raises InputError for fewer than two vectors a set, other shapes or values that are not finite.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            "these feature sets have no kernel distance",
            found=f"shapes {a.shape} and {b.shape}",
            expected="(images, features), at least 2 images each, equal numbers of features",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("features hold values that are not finite", expected="no NaN or infinity")
    return _mean_of_pairs(a) + _mean_of_pairs(b) - 2 * float(_kernel(a, b).mean())


def _mean_of_pairs(x: np.ndarray) -> float:
    """Mean kernel of two different vectors of a set."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + OFFSET) ** DEGREE
