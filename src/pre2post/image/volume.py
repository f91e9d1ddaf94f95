"""Volumes: arrays with their geometry in the patient, in mm and LPS (x to the left, y posterior, z superior)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

GEOMETRY_TOLERANCE = 0.1  # of a voxel, at the corners: far above rounding in headers, far below a shift by a slice

Vector = tuple[float, float, float]  # x, y, z
Shape = tuple[int, int, int]  # z, y, x


@dataclass(frozen=True)
class Volume:
    """An array (z, y, x) with its spacing and origin (x, y, z) in mm and its row-major 3 x 3 direction, in LPS."""

    array: np.ndarray
    spacing: Vector = (1.0, 1.0, 1.0)
    origin: Vector = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def like(self, array: np.ndarray) -> "Volume":
        """Return a volume of the same geometry with other values. Raises ValueError for another shape."""
        if array.shape != self.array.shape:
            raise ValueError(f"an array of shape {array.shape} does not fit a geometry of shape {self.array.shape}")
        return replace(self, array=array)

    def columns(self, part: slice) -> "Volume":
        """Cut the volume to some of its columns (x); each voxel keeps its position in the patient."""
        start = part.indices(self.array.shape[2])[0]
        moved = np.asarray(self.origin) + np.reshape(self.direction, (3, 3))[:, 0] * self.spacing[0] * start
        return replace(self, array=self.array[..., part], origin=vector(moved))

    def corners(self) -> np.ndarray:
        """Return the positions (8, 3) in mm of the outermost voxel centres."""
        ends = np.array(list(product(*((0, size - 1) for size in self.array.shape[::-1]))))
        return np.asarray(self.origin) + (ends * self.spacing) @ np.reshape(self.direction, (3, 3)).T


def geometry_only(shape: Shape, spacing: Vector, origin: Vector, direction: tuple[float, ...]) -> Volume:
    """Return a volume of this geometry whose array takes no memory and holds no values, to compare with others."""
    return Volume(np.broadcast_to(np.uint8(0), shape), spacing, origin, direction)


def vector(values: Iterable[float]) -> Vector:
    """Return three numbers (x, y, z) as a tuple of floats."""
    x, y, z = map(float, values)
    return x, y, z


def whole_numbers(volume: Volume) -> Volume:
    """Convert to int16 or uint16 if these hold all values exactly, which halves the file; else return it unchanged."""
    low, high = float(volume.array.min()), float(volume.array.max())
    for dtype in (np.int16, np.uint16):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            whole = volume.array.astype(dtype)
            return volume.like(whole) if np.array_equal(whole, volume.array) else volume
    return volume


def same_geometry(one: Volume, other: Volume, tolerance: float = GEOMETRY_TOLERANCE) -> bool:
    """Return whether the shapes are equal and every corner is within `tolerance` voxels of the other's."""
    if one.array.shape != other.array.shape:
        return False
    apart = np.linalg.norm(one.corners() - other.corners(), axis=1)
    return bool(apart.max() <= tolerance * min(one.spacing))


def describe_geometry(volume: Volume) -> str:
    """Return size, spacing and origin in words, for messages."""
    size, spacing, origin = volume.array.shape[::-1], volume.spacing, volume.origin
    return (
        f"{' x '.join(map(str, size))} voxels of {' x '.join(f'{s:.4g}' for s in spacing)} mm, "
        f"first at ({', '.join(f'{o:.2f}' for o in origin)}) mm"
    )


def to_lps(volume: Volume) -> Volume:
    """Swap and flip the axes so that x, y, z run to left, posterior, superior; no voxel moves in the patient."""
    order, signs = _lps_axes(volume)
    if order == (0, 1, 2) and signs == (1, 1, 1):
        return volume
    directions, sizes = np.reshape(volume.direction, (3, 3)), volume.array.shape[::-1]
    flipped = [axis for axis, sign in zip(order, signs, strict=True) if sign < 0]
    origin = np.asarray(volume.origin) + sum(
        (directions[:, axis] * volume.spacing[axis] * (sizes[axis] - 1) for axis in flipped), np.zeros(3)
    )
    array = np.flip(volume.array, tuple(2 - axis for axis in flipped)).transpose([2 - axis for axis in order[::-1]])
    if 0 not in array.strides:  # the array of geometry_only must not be filled
        array = np.ascontiguousarray(array)
    return Volume(
        array,
        vector(volume.spacing[axis] for axis in order),
        vector(origin),
        tuple(map(float, (directions[:, order] * signs).ravel())),
    )


def from_lps(turned: Volume, original: Volume) -> Volume:
    """Undo to_lps: return the values of `turned`, whose geometry is to_lps(original)'s, in that of `original`."""
    order, signs = _lps_axes(original)
    array = turned.array.transpose(np.argsort([2 - axis for axis in order[::-1]]))
    flipped = tuple(2 - axis for axis, sign in zip(order, signs, strict=True) if sign < 0)
    return original.like(np.ascontiguousarray(np.flip(array, flipped)))


def _lps_axes(volume: Volume) -> tuple[Shape, Shape]:
    """Return, for left, posterior and superior, the closest axis (0 x, 1 y, 2 z), and 1 or -1 for its direction.

    The largest direction cosine chooses first, as in ITK's orientation filter.
    """
    cosines = np.array(volume.direction, float).reshape(3, 3)
    order, signs = [0, 0, 0], [1, 1, 1]
    for _ in range(3):
        toward, axis = np.unravel_index(np.nanargmax(np.abs(cosines)), (3, 3))
        order[toward], signs[toward] = int(axis), 1 if cosines[toward, axis] > 0 else -1
        cosines[toward, :] = cosines[:, axis] = np.nan
    return (order[0], order[1], order[2]), (signs[0], signs[1], signs[2])
