"""Frechet distance between two sets of feature vectors, each taken as a Gaussian, in float64."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError


@dataclass(frozen=True)
class Moments:
    """Mean (d,) of n feature vectors, and a factor (min(n, d), d) of their covariance C = factor.T @ factor (n - 1)."""

    mean: np.ndarray
    factor: np.ndarray
    n: int


def moments(features) -> Moments:
    """Moments of feature vectors (n, d).

    The factor is the centred matrix itself, or for n > d the triangle of its QR decomposition: covariances are never
    formed, so their condition is not squared.
    Raises InputError for fewer than 2 rows or values that are not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < 1:
        raise InputError("too few feature vectors for a Frechet distance", found=f"shape {features.shape}",
                         expected="(images, features) with at least 2 images")
    if not np.isfinite(features).all():
        raise InputError("features hold values that are not finite",
                         found=f"{np.count_nonzero(~np.isfinite(features))} of {features.size}")
    n, d = features.shape
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(n - 1)
    return Moments(mean, np.linalg.qr(centred, mode="r") if n > d else centred, n)


def frechet_distance(a, b) -> float:
    """Squared Frechet distance of feature sets (n, d) and (m, d), or of their Moments, >= 0.

    Dowson and Landau 1982: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With C1 = A^T A and C2 = B^T B the
    eigenvalues of C1 C2 are the squared singular values of A B^T, so the trace of the root is their sum, the nuclear
    norm of A B^T. Unlike a matrix square root of C1 C2 this is exact, real and never negative when the covariances
    are singular (n <= d).
    """
    a, b = (x if isinstance(x, Moments) else moments(x) for x in (a, b))
    if a.mean.shape != b.mean.shape:
        raise InputError("the feature sets have different numbers of features",
                         found=f"{a.mean.size} and {b.mean.size}")
    overlap = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    spread = np.square(a.factor).sum() + np.square(b.factor).sum() - 2 * overlap
    return max(0.0, float(np.square(a.mean - b.mean).sum() + spread))
