"""Frechet radiomics distance of two sets of radiomics features: FRD v0 (Osuala et al. 2024) and v1 (arXiv 2412.01496).

Features are normalised exactly as in the package frd-score. The distance is exact; the package uses a matrix square
root, whose relative error is about 1e-4 for singular covariances, that is for fewer images than features. Values of
different versions or numbers of images are not comparable.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.features.radiomics_features import VERSIONS
from pre2post.metrics.frechet import frechet_distance

V0_HIGHEST = 7.45670747756958  # of normalised v0 features: the package's constant, which scales FRD to the range of FID


@dataclass(frozen=True)
class Frd:
    """A distance with its version, numbers of images and number of features, which must agree in a comparison.

    value: in v0 the squared Frechet distance, >= 0; in v1 its logarithm, -inf for equal sets.
    """

    value: float
    version: str
    n_real: int
    n_synthetic: int
    features: int


def frd(real: ArrayLike, synthetic: ArrayLike, version: str = "v1", package: bool = False) -> Frd:
    """Return the FRD of synthetic features (m, d) to real ones (n, d) of radiomics_features; in v1 not symmetric.

    package: use the package's distance with its numerical error, for comparisons with values published with it.
    Raises InputError if fewer than two images or no feature remain.
    """
    a, b = normalised(real, synthetic, version)
    squared = _package_distance(a, b) if package else frechet_distance(a, b)
    return Frd(_logarithm(squared) if version == "v1" else squared, version, len(a), len(b), a.shape[1])


def normalised(real: ArrayLike, synthetic: ArrayLike, version: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalise both sets: v0 scales to the range of both sets, v1 standardises by the real set."""
    sets = [np.asarray(x, dtype=np.float64) for x in (real, synthetic)]
    if version not in VERSIONS:
        raise InputError("unknown version of FRD", found=version, expected=" or ".join(VERSIONS))
    if any(x.ndim != 2 for x in sets) or sets[0].shape[1] != sets[1].shape[1]:
        raise InputError(
            "these sets of features cannot be compared",
            expected="(images, features), equal features",
            found=f"shapes {sets[0].shape} and {sets[1].shape}",
        )
    if version == "v1":
        sets = [x[~np.isnan(x).any(axis=1)] for x in sets]
    if min(map(len, sets)) < 2:
        raise InputError(
            "too few images for FRD",
            found=f"features of {len(sets[0])} real, {len(sets[1])} synthetic images",
            expected="at least 2 of each, with a region of at least two pixels",
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # about columns of NaN, which are handled below
        return _scaled(*sets) if version == "v0" else _standardised(*sets)


def _scaled(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale every feature to 0 to V0_HIGHEST over both sets; constant ones and missing values get the middle."""
    both = np.concatenate([real, synthetic])
    low, high = np.nanmin(both, axis=0), np.nanmax(both, axis=0)

    def scale(x: np.ndarray) -> np.ndarray:
        x = np.where(high == low, 0.5, (x - low) / (high - low)) * V0_HIGHEST
        return np.where(np.isnan(x), V0_HIGHEST / 2, x)

    return scale(real), scale(synthetic)


def _standardised(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise every feature by the real set, in float32 like the package.

    Drop features that are constant over the real set or not finite in either set. In float32 the mean of equal numbers
    may differ from them in the last digit; like the package, keep such features.
    """
    real, synthetic = real.astype(np.float32), synthetic.astype(np.float32)
    mean, sd = np.nanmean(real, axis=0), np.nanstd(real, axis=0)
    real, synthetic = (real - mean) / sd, (synthetic - mean) / sd
    kept = np.isfinite(real).all(axis=0) & np.isfinite(synthetic).all(axis=0)
    if not kept.any():
        raise InputError(
            "no feature can be compared",
            found="every one is constant over the real images or not finite",
            expected="different real images",
        )
    if kept.all():  # no copy: it would have another memory layout, and the rounding of float32 sums depends on that
        return real, synthetic
    return real[:, kept], synthetic[:, kept]


def _package_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    from frd_score.frd import calculate_frechet_distance

    moments = [moment for x in (real, synthetic) for moment in (x.mean(axis=0), np.cov(x, rowvar=False))]
    return float(calculate_frechet_distance(*moments))


def _logarithm(squared: float) -> float:
    """Return the logarithm; -inf for 0 and for the small negative numbers that a matrix square root may give."""
    return float(np.log(squared)) if squared > 0 else float("-inf")
