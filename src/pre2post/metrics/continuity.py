"""Continuity of a volume that was synthesised slice by slice: the change between neighbouring voxels, per axis."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair

AXES = ("z", "y", "x")


def continuity(real: np.ndarray, synthetic: np.ndarray, region: np.ndarray) -> dict[str, float]:
    """Return {"z", "y", "x"}: change(synthetic) / change(real) along each axis of volumes (z, y, x).

    The change is the mean absolute difference of neighbouring voxels that are both in the mask `region`. 1: as in the
    real volume. Above 1 along z only: the slices do not fit together. Below 1: smoother or less noisy.

    Raises InputError for unequal shapes, values that are not finite, a region without neighbours along an axis, or a
    real volume without change there.
    """
    real, synthetic = as_pair(real, synthetic)
    region = np.asarray(region, bool)
    if region.shape != real.shape or real.ndim != 3:
        raise InputError(
            "the region has another shape than the volumes, or they are not (z, y, x)",
            found=f"{region.shape} and {real.shape}",
            expected="equal shapes of three axes",
        )
    return {name: _ratio(real, synthetic, region, axis) for axis, name in enumerate(AXES)}


def _ratio(real: np.ndarray, synthetic: np.ndarray, region: np.ndarray, axis: int) -> float:
    both = np.logical_and(*_neighbours(region, axis))
    if not both.any():
        raise InputError(f"the region has no neighbouring voxels along {AXES[axis]}", expected="at least two in a row")
    change_real, change_synthetic = (
        np.abs(np.subtract(*_neighbours(volume, axis)))[both].mean() for volume in (real, synthetic)
    )
    if not change_real > 0:
        raise InputError(
            f"the real volume does not change along {AXES[axis]}", expected="an image of tissue in the region"
        )
    return float(change_synthetic / change_real)


def _neighbours(volume: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    length = volume.shape[axis]
    return np.take(volume, range(1, length), axis), np.take(volume, range(length - 1), axis)
