"""Masks of a volume: how much they hold, their connected pieces, the box around them, and the mask of a box."""

import numpy as np

MM3_PER_ML = 1000.0
TOUCHING = np.ones((3, 3, 3))  # voxels of one lesion may touch at a corner only

Box = tuple[int, int, int, int, int, int]  # z0, z1, y0, y1, x0, x1 in voxels, the ends excluded


def millilitres(mask: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Volume of a mask, anything but 0 being inside, whose voxels measure `spacing` mm."""
    return int(np.count_nonzero(mask)) * float(np.prod(spacing)) / MM3_PER_ML


def lesions(mask: np.ndarray, spacing: tuple[float, float, float], smallest_ml: float = 0.0) -> tuple[np.ndarray, int]:
    """Connected pieces of a mask (z, y, x), anything but 0 being inside: labels (z, y, x), int32, and their number.

    The largest is 1, the next 2, ...; pieces below `smallest_ml` are left out: 0, as the outside is.
    """
    from scipy.ndimage import label

    labels = np.zeros(np.shape(mask), np.int32)
    if not np.any(mask):
        return labels, 0
    inside = window(bounding_box(mask))  # a lesion fills a small part of a volume, and labelling takes its time
    pieces, count = label(mask[inside] != 0, TOUCHING)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(sizes * float(np.prod(spacing)) / MM3_PER_ML >= smallest_ml)
    ordered = kept[np.argsort(-sizes[kept], kind="stable")]
    new_label = np.zeros(count + 1, np.int32)
    new_label[1 + ordered] = np.arange(1, len(ordered) + 1)
    labels[inside] = new_label[pieces]
    return labels, len(ordered)


def bounding_box(mask: np.ndarray) -> Box:
    """The smallest box around what is not 0 in a mask (z, y, x); a ValueError for an empty one."""
    if not np.any(mask):
        raise ValueError("an empty mask has no bounding box")
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(np.any(mask, axis=tuple({0, 1, 2} - {axis})))
        ends += [int(filled[0]), int(filled[-1]) + 1]
    return tuple(ends)


def window(box: Box) -> tuple[slice, slice, slice]:
    """The index that cuts a box out of an array (z, y, x)."""
    z0, z1, y0, y1, x0, x1 = box
    return slice(z0, z1), slice(y0, y1), slice(x0, x1)


def box_mask(box: Box, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask (z, y, x), uint8 0 or 1, of `shape` with the box filled."""
    mask = np.zeros(shape, np.uint8)
    mask[window(box)] = 1
    return mask
