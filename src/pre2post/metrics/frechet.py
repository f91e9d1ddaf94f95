"""Frechet distance between two sets of feature vectors, each modelled as a Gaussian, in float64."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError


@dataclass(frozen=True)
class Moments:
    """Mean (d,) of n feature vectors, and a factor (k, d), k <= d, of their scatter matrix.

    sum (x - mean)(x - mean)^T = factor^T factor
    """

    mean: np.ndarray
    factor: np.ndarray
    n: int


def moments(features: ArrayLike) -> Moments:
    """Compute the moments of feature vectors (n, d).

    The factor is the centred matrix or, for n > d, the triangle of its QR decomposition. The covariance matrix is never
    formed, which would square the condition number.
    Raises InputError for no vector or values that are not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape:
        raise InputError(
            "these are not feature vectors", found=f"shape {features.shape}", expected="(images, features)"
        )
    if not np.isfinite(features).all():
        raise InputError(
            "features hold values that are not finite",
            found=f"{np.count_nonzero(~np.isfinite(features))} of {features.size}",
        )
    mean = features.mean(axis=0)
    return Moments(mean, _compressed(features - mean), len(features))


def pooled(parts: Iterable[Moments]) -> Moments:
    """Combine moments of parts to the moments of all their vectors."""
    parts = list(parts)
    n = sum(part.n for part in parts)
    mean = np.asarray(sum(part.n * part.mean for part in parts)) / n
    between = [np.sqrt(part.n) * (part.mean - mean)[None] for part in parts]
    return Moments(mean, _compressed(np.concatenate([part.factor for part in parts] + between)), n)


def frechet_distance(first: ArrayLike | Moments, second: ArrayLike | Moments) -> float:
    """Return the squared Frechet distance (>= 0) of feature sets (n, d) and (m, d), or of their Moments.

    Dowson and Landau 1982: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With C1 = A^T A and C2 = B^T B, the eigenvalues
    of C1 C2 are the squared singular values of A B^T. The trace of the root is therefore the nuclear norm of A B^T.
    Unlike a matrix square root, this is exact, real and never negative if the covariances are singular (n <= d). For
    n < d it needs the decomposition of an n x n matrix instead of d x d.

    Raises InputError if a set has fewer than two vectors, hence no covariance, or if the numbers of features differ.
    """
    a, b = (x if isinstance(x, Moments) else moments(x) for x in (first, second))
    if a.mean.shape != b.mean.shape:
        raise InputError(
            "the feature sets have different numbers of features", found=f"{a.mean.size} and {b.mean.size}"
        )
    if min(a.n, b.n) < 2:
        raise InputError("too few images for a Frechet distance", found=f"{a.n} and {b.n}", expected="at least 2 each")
    root_a, root_b = a.factor / np.sqrt(a.n - 1), b.factor / np.sqrt(b.n - 1)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    spread = np.square(root_a).sum() + np.square(root_b).sum() - 2 * overlap
    return max(0.0, float(np.square(a.mean - b.mean).sum() + spread))


def _compressed(factor: np.ndarray) -> np.ndarray:
    """Return a factor of the same scatter matrix with at most as many rows as columns."""
    return np.asarray(np.linalg.qr(factor, mode="r")) if factor.shape[0] > factor.shape[1] else factor
