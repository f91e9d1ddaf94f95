"""Conversion of volumes to square slices of a fixed size and back, in float32."""

import numpy as np

from pre2post.image.volume import Shape

MASK_THRESHOLD = 0.5  # a resampled pixel belongs to the mask if at least half of it does
SPLINE = 5  # order: with 3, as in the published work, a change of the matrix loses half as much detail again


def to_slices(array: np.ndarray, size: int) -> np.ndarray:
    """Resample a volume (z, y, x) to slices (z, size, size), float32; a matrix of that size keeps its values.

    First pad a matrix that is not square with 0 (air) to a centred square, which preserves shapes. Smooth before
    shrinking, against aliasing. Interpolation may overshoot at sharp edges.
    """
    return _resize(_pad(np.asarray(array, np.float32)), size)


def from_slices(slices: np.ndarray, shape: Shape) -> np.ndarray:
    """Undo to_slices: resample slices (z, size, size) to a volume of `shape` (z, y, x), float32."""
    if len(slices) != shape[0]:
        raise ValueError(f"{len(slices)} slices cannot fill a volume of shape {shape}")
    square = _resize(np.asarray(slices, np.float32), max(shape[1:]))
    top, left = _margins(shape)
    return np.ascontiguousarray(square[:, top : top + shape[1], left : left + shape[2]])


def mask_to_slices(mask: np.ndarray, size: int) -> np.ndarray:
    """Resample a mask (z, y, x) to slices (z, size, size), uint8 0 or 1. Only non-empty planes are resampled."""
    mask = np.asarray(mask, bool)
    slices = np.zeros((len(mask), size, size), np.uint8)
    filled = mask.any(axis=(1, 2))
    slices[filled] = to_slices(mask[filled], size) >= MASK_THRESHOLD
    return slices


def _margins(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows above and the columns left of a matrix centred in its square."""
    side = max(shape[1:])
    return (side - shape[1]) // 2, (side - shape[2]) // 2


def _pad(array: np.ndarray) -> np.ndarray:
    side, (top, left) = max(array.shape[1:]), _margins(array.shape)
    if array.shape[1] == array.shape[2]:
        return array
    return np.pad(array, ((0, 0), (top, side - array.shape[1] - top), (left, side - array.shape[2] - left)))


def _resize(slices: np.ndarray, size: int) -> np.ndarray:
    """Resample slices (z, n, n) to (z, size, size), float32; the grids share their outer edges, so nothing shifts."""
    from skimage.transform import resize

    if slices.shape[1] == size:
        return slices.copy()
    smooth = size < slices.shape[1]
    resized = np.empty((len(slices), size, size), np.float32)  # allocated here, since there may be no slice at all
    for plane, target in zip(slices, resized, strict=True):
        target[:] = resize(plane, (size, size), SPLINE, mode="edge", preserve_range=True, anti_aliasing=smooth)
    return resized
