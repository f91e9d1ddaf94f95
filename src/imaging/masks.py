"""Masks of a volume: how much they hold, the box around them, and the mask that a box stands for."""

import numpy as np

MM3_PER_ML = 1000.0

Box = tuple[int, int, int, int, int, int]  # z0, z1, y0, y1, x0, x1 in voxels, the ends excluded


def millilitres(mask: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Volume of a mask, anything but 0 being inside, whose voxels measure `spacing` mm."""
    return int(np.count_nonzero(mask)) * float(np.prod(spacing)) / MM3_PER_ML


def bounding_box(mask: np.ndarray) -> Box:
    """The smallest box around what is not 0 in a mask (z, y, x); a ValueError for an empty one."""
    if not np.any(mask):
        raise ValueError("an empty mask has no bounding box")
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(np.any(mask, axis=tuple({0, 1, 2} - {axis})))
        ends += [int(filled[0]), int(filled[-1]) + 1]
    return tuple(ends)


def box_mask(box: Box, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask (z, y, x), uint8 0 or 1, of `shape` with the box filled."""
    z0, z1, y0, y1, x0, x1 = box
    mask = np.zeros(shape, np.uint8)
    mask[z0:z1, y0:y1, x0:x1] = 1
    return mask
