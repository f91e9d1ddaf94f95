"""Volumes to square slices of a fixed size and back, in floats all the way."""

import numpy as np

MASK_THRESHOLD = 0.5  # a resampled pixel belongs to the mask when half of it does
CUBIC = 3  # the spline order; the published work resized with cubic interpolation too


def to_slices(array: np.ndarray, size: int) -> np.ndarray:
    """Slices (z, size, size), float32, of a volume (z, y, x); the same values when it has that size already.

    A matrix that is not square is first padded with 0 (air) to a centred square, so that anatomy keeps its shape. When
    the matrix shrinks it is smoothed first, against aliasing. Cubic interpolation may overshoot at sharp edges.
    """
    return _resize(_pad(np.asarray(array, np.float32)), size)


def from_slices(slices: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The volume of `shape` (z, y, x), float32, whose slices (z, size, size) these are: undoes to_slices."""
    if len(slices) != shape[0]:
        raise ValueError(f"{len(slices)} slices cannot fill a volume of shape {shape}")
    square = _resize(np.asarray(slices, np.float32), max(shape[1:]))
    top, left = _margins(shape)
    return np.ascontiguousarray(square[:, top : top + shape[1], left : left + shape[2]])


def mask_to_slices(mask: np.ndarray, size: int) -> np.ndarray:
    """Slices (z, size, size), uint8 0 or 1, of a mask (z, y, x). Only planes that hold something are resampled."""
    mask = np.asarray(mask, bool)
    slices = np.zeros((len(mask), size, size), np.uint8)
    filled = mask.any(axis=(1, 2))
    slices[filled] = to_slices(mask[filled], size) >= MASK_THRESHOLD
    return slices


def _margins(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows above and columns left of a matrix that lies in the middle of its square."""
    side = max(shape[1:])
    return (side - shape[1]) // 2, (side - shape[2]) // 2


def _pad(array: np.ndarray) -> np.ndarray:
    side, (top, left) = max(array.shape[1:]), _margins(array.shape)
    if array.shape[1] == array.shape[2]:
        return array
    return np.pad(array, ((0, 0), (top, side - array.shape[1] - top), (left, side - array.shape[2] - left)))


def _resize(slices: np.ndarray, size: int) -> np.ndarray:
    """Slices (z, n, n) to (z, size, size), float32; the grids share their outer edges, so nothing shifts."""
    from skimage.transform import resize

    if slices.shape[1] == size:
        return slices.copy()
    smooth = size < slices.shape[1]
    resized = np.empty((len(slices), size, size), np.float32)  # a volume may have no slice to cut
    for plane, target in zip(slices, resized, strict=True):
        target[:] = resize(plane, (size, size), CUBIC, mode="edge", preserve_range=True, anti_aliasing=smooth)
    return resized
