"""Masks of a volume: their size, their connected components (lesions), bounding boxes, and masks of boxes."""

from collections.abc import Iterable

import numpy as np

from pre2post.image.volume import Shape, Vector

MM3_PER_ML = 1000.0
TOUCHING = np.ones((3, 3, 3))  # voxels of one lesion may share only a corner

Box = tuple[int, int, int, int, int, int]  # z0, z1, y0, y1, x0, x1 in voxels; z1, y1, x1 are excluded


def millilitres(mask: np.ndarray, spacing: Vector) -> float:
    """Return the volume of the non-zero voxels of a mask, whose voxels measure `spacing` mm."""
    return int(np.count_nonzero(mask)) * float(np.prod(spacing)) / MM3_PER_ML


def lesions(mask: np.ndarray, spacing: Vector, smallest_ml: float = 0.0) -> tuple[np.ndarray, int]:
    """Label the connected components of the non-zero voxels of a mask (z, y, x).

    Return the labels (z, y, x), int32, and the number of components. The largest is 1, the next 2, ...; components
    below `smallest_ml` are 0 like the background.
    """
    from scipy.ndimage import label

    labels = np.zeros(np.shape(mask), np.int32)
    if not np.any(mask):
        return labels, 0
    inside = window(bounding_box(mask))  # a lesion fills a small part of a volume, and labelling is slow
    pieces, count = label(mask[inside] != 0, TOUCHING)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(sizes * float(np.prod(spacing)) / MM3_PER_ML >= smallest_ml)
    ordered = kept[np.argsort(-sizes[kept], kind="stable")]
    new_label = np.zeros(count + 1, np.int32)
    new_label[1 + ordered] = np.arange(1, len(ordered) + 1)
    labels[inside] = new_label[pieces]
    return labels, len(ordered)


def bounding_box(mask: np.ndarray) -> Box:
    """Return the smallest box around the non-zero voxels of a mask (z, y, x). Raises ValueError if it is empty."""
    if not np.any(mask):
        raise ValueError("an empty mask has no bounding box")
    ends: list[int] = []
    for axis in range(3):
        filled = np.flatnonzero(np.any(mask, axis=tuple({0, 1, 2} - {axis})))
        ends += [int(filled[0]), int(filled[-1]) + 1]
    return to_box(ends)


def to_box(ends: Iterable[int]) -> Box:
    """Return the six ends of a box as a tuple."""
    z0, z1, y0, y1, x0, x1 = ends
    return z0, z1, y0, y1, x0, x1


def window(box: Box) -> tuple[slice, slice, slice]:
    """Return the index that cuts a box out of an array (z, y, x)."""
    z0, z1, y0, y1, x0, x1 = box
    return slice(z0, z1), slice(y0, y1), slice(x0, x1)


def box_mask(box: Box, shape: Shape) -> np.ndarray:
    """Return a mask (z, y, x), uint8 0 or 1, of `shape` with the box filled."""
    mask = np.zeros(shape, np.uint8)
    mask[window(box)] = 1
    return mask
