"""Whether a volume that was made slice by slice still runs smoothly: change between neighbouring slices, per axis."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair

AXES = ("z", "y", "x")


def continuity(real, synthetic, region) -> dict[str, float]:
    """{"z", "y", "x"}: change between neighbours along each axis of the synthetic volume, as a multiple of the real.

    Change is the mean absolute difference of neighbouring voxels that both lie in `region`, a mask of the volumes
    (z, y, x). 1 is as in the real volume; above 1 along z alone, slices that were made apart do not fit together; below
    1, the synthetic volume is smoother or less noisy.
    Raises InputError for unequal shapes, values not finite, a region without neighbours along an axis, or a real volume
    that does not change there.
    """
    real, synthetic = as_pair(real, synthetic)
    region = np.asarray(region, bool)
    if region.shape != real.shape or real.ndim != 3:
        raise InputError(
            "the region has another shape than the volumes, or they are not (z, y, x)",
            found=f"{region.shape} and {real.shape}",
            expected="equal shapes",
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
        raise InputError(f"the real volume does not change along {AXES[axis]}", expected="an image of tissue")
    return float(change_synthetic / change_real)


def _neighbours(volume: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    length = volume.shape[axis]
    return np.take(volume, range(1, length), axis), np.take(volume, range(length - 1), axis)
