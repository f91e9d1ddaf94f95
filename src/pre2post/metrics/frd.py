"""Frechet radiomics distance of two sets of radiomics features: FRD v0 (Osuala et al. 2024) and v1 (arXiv 2412.01496).

Features are normalised as in the package frd-score, to the last digit. The distance between them is exact here; the
package takes a matrix square root, which is wrong by about 1e-4 for singular covariances, so with fewer images than
features. Values of the two versions, and of different numbers of images, are not comparable.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError
from pre2post.features.radiomics_features import VERSIONS
from pre2post.metrics.frechet import frechet_distance

V0_HIGHEST = 7.45670747756958  # of normalised v0 features: the package's constant, which brings FRD to the range of FID


@dataclass(frozen=True)
class Frd:
    """A distance and what it must not be compared without: its version, numbers of images, number of features.

    value: v0 the squared Frechet distance, >= 0; v1 its logarithm, -inf for equal sets.
    """

    value: float
    version: str
    n_real: int
    n_synthetic: int
    features: int


def frd(real, synthetic, version: str = "v1", package: bool = False) -> Frd:
    """FRD of synthetic features (m, d) from real ones (n, d), as radiomics_features gives them; not symmetric in v1.

    With `package` the distance is the package's own, with its numerical error, to be compared with values that were
    published with it.
    Raises InputError when fewer than two images or no feature remain.
    """
    real, synthetic = normalised(real, synthetic, version)
    squared = (_package_distance if package else frechet_distance)(real, synthetic)
    return Frd(_logarithm(squared) if version == "v1" else squared, version, len(real), len(synthetic), real.shape[1])


def normalised(real, synthetic, version: str) -> tuple[np.ndarray, np.ndarray]:
    """Both sets with comparable features: v0 scaled to a range by both sets, v1 standardised by the real set."""
    sets = [np.asarray(x, dtype=np.float64) for x in (real, synthetic)]
    if version not in VERSIONS:
        raise InputError("there is no such version of FRD", found=version, expected=" or ".join(VERSIONS))
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
            found=f"features of {len(sets[0])} real, {len(sets[1])} synthetic",
            expected="at least 2 of each, with a region of at least two pixels",
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # columns of NaN, which are dealt with
        return _scaled(*sets) if version == "v0" else _standardised(*sets)


def _scaled(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every feature from 0 to V0_HIGHEST over both sets; constant ones and missing values in the middle."""
    both = np.concatenate([real, synthetic])
    low, high = np.nanmin(both, axis=0), np.nanmax(both, axis=0)
    sets = []
    for x in (real, synthetic):
        x = np.where(high == low, 0.5, (x - low) / (high - low)) * V0_HIGHEST
        sets.append(np.where(np.isnan(x), V0_HIGHEST / 2, x))
    return tuple(sets)


def _standardised(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every feature in the real set's standard deviations from its mean, in float32 as the package does.

    Features that are constant over the real set, or not finite in either, are dropped. In float32 the mean of equal
    numbers may differ from them in the last digit; such a feature is kept by the package and so here.
    """
    real, synthetic = real.astype(np.float32), synthetic.astype(np.float32)
    mean, sd = np.nanmean(real, axis=0), np.nanstd(real, axis=0)
    sets = [(x - mean) / sd for x in (real, synthetic)]
    kept = np.logical_and(*(np.isfinite(x).all(axis=0) for x in sets))
    if not kept.any():
        raise InputError(
            "no feature can be compared",
            found="every one is constant over the real images or not finite",
            expected="real images that differ",
        )
    if kept.all():  # as they are: choosing all would lay them out anew, and float32 sums round by the layout
        return tuple(sets)
    return tuple(x[:, kept] for x in sets)


def _package_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    from frd_score.frd import calculate_frechet_distance

    moments = [moment for x in (real, synthetic) for moment in (x.mean(axis=0), np.cov(x, rowvar=False))]
    return float(calculate_frechet_distance(*moments))


def _logarithm(squared: float) -> float:
    """-inf for 0, and for the small negative number that a matrix square root may leave."""
    return float(np.log(squared)) if squared > 0 else float("-inf")
