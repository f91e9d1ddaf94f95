"""A volume is an array with its place in the patient: its geometry, in mm and in LPS."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

GEOMETRY_TOLERANCE = 0.1  # of a voxel, at the corners: rounding in headers stays far below, a shifted slice far above


@dataclass(frozen=True)
class Volume:
    """An array (z, y, x); spacing (x, y, z) in mm, origin (x, y, z) in mm and the row-major 3 x 3 direction, in LPS."""

    array: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def like(self, array: np.ndarray) -> "Volume":
        """The same place in the patient with other values; the shape must be the same."""
        if array.shape != self.array.shape:
            raise ValueError(f"an array of shape {array.shape} cannot lie where one of shape {self.array.shape} lies")
        return replace(self, array=array)

    def columns(self, part: slice) -> "Volume":
        """The volume cut to some of its columns (x), each voxel where it was in the patient."""
        start = part.indices(self.array.shape[2])[0]
        moved = np.asarray(self.origin) + np.reshape(self.direction, (3, 3))[:, 0] * self.spacing[0] * start
        return replace(self, array=self.array[..., part], origin=tuple(map(float, moved)))

    def corners(self) -> np.ndarray:
        """Positions (8, 3) in mm of the outermost voxel centres."""
        ends = np.array(list(product(*((0, size - 1) for size in self.array.shape[::-1]))))
        return np.asarray(self.origin) + (ends * self.spacing) @ np.reshape(self.direction, (3, 3)).T


def place(
    shape: tuple[int, int, int], spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]
) -> Volume:
    """A volume without values, of no memory: its shape (z, y, x) and where it lies, to compare with others."""
    return Volume(np.broadcast_to(np.uint8(0), shape), spacing, origin, direction)


def whole_numbers(volume: Volume) -> Volume:
    """The same values as int16 or uint16 where these hold them exactly, which halves the file; else unchanged."""
    low, high = float(volume.array.min()), float(volume.array.max())
    for dtype in (np.int16, np.uint16):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            whole = volume.array.astype(dtype)
            return volume.like(whole) if np.array_equal(whole, volume.array) else volume
    return volume


def same_geometry(one: Volume, other: Volume, tolerance: float = GEOMETRY_TOLERANCE) -> bool:
    """Whether both have one shape and every corner lies within `tolerance` voxels of the other's."""
    if one.array.shape != other.array.shape:
        return False
    apart = np.linalg.norm(one.corners() - other.corners(), axis=1)
    return bool(apart.max() <= tolerance * min(one.spacing))


def describe_geometry(volume: Volume) -> str:
    """Size, spacing and origin in words, for messages."""
    size, spacing, origin = volume.array.shape[::-1], volume.spacing, volume.origin
    return (
        f"{' x '.join(map(str, size))} voxels of {' x '.join(f'{s:.4g}' for s in spacing)} mm, "
        f"first at ({', '.join(f'{o:.2f}' for o in origin)}) mm"
    )


def from_image(image, dtype=np.float32) -> Volume:
    """A SimpleITK image as a Volume."""
    import SimpleITK as sitk

    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the readers look for
        array = sitk.GetArrayFromImage(image).astype(dtype, copy=False)
    return Volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_image(volume: Volume):
    """A Volume as a SimpleITK image; masks (bool, uint8) become uint8, 16-bit integers stay, else float32."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=stored_type(volume.array.dtype)))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def stored_type(dtype: np.dtype) -> type:
    if dtype in (np.bool_, np.uint8):
        return np.uint8
    return dtype.type if dtype in (np.int16, np.uint16) else np.float32


def to_lps(volume: Volume) -> Volume:
    """The same volume with its axes swapped and flipped so that x, y, z run to left, posterior, superior."""
    order, signs = _lps_axes(volume)
    if order == (0, 1, 2) and signs == (1, 1, 1):
        return volume
    directions, sizes = np.reshape(volume.direction, (3, 3)), volume.array.shape[::-1]
    flipped = [axis for axis, sign in zip(order, signs, strict=True) if sign < 0]
    origin = np.asarray(volume.origin) + sum(
        (directions[:, axis] * volume.spacing[axis] * (sizes[axis] - 1) for axis in flipped), np.zeros(3)
    )
    array = np.flip(volume.array, [2 - axis for axis in flipped]).transpose([2 - axis for axis in order[::-1]])
    if 0 not in array.strides:  # a place without values, which stands for its shape alone, is not filled
        array = np.ascontiguousarray(array)
    return Volume(
        array,
        tuple(volume.spacing[axis] for axis in order),
        tuple(map(float, origin)),
        tuple(map(float, (directions[:, order] * signs).ravel())),
    )


def from_lps(turned: Volume, original: Volume) -> Volume:
    """Undoes to_lps: the values of `turned`, which lies as to_lps(original) does, in the exact place of `original`."""
    order, signs = _lps_axes(original)
    array = turned.array.transpose(np.argsort([2 - axis for axis in order[::-1]]))
    flipped = [2 - axis for axis, sign in zip(order, signs, strict=True) if sign < 0]
    return original.like(np.ascontiguousarray(np.flip(array, flipped)))


def _lps_axes(volume: Volume) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """For each of left, posterior, superior the axis (0 x, 1 y, 2 z) that runs closest to it, and 1 or -1 the way.

    The largest direction cosine chooses first, as in ITK's orientation filter.
    """
    cosines = np.array(volume.direction, float).reshape(3, 3)
    order, signs = [0, 0, 0], [1, 1, 1]
    for _ in range(3):
        toward, axis = np.unravel_index(np.nanargmax(np.abs(cosines)), (3, 3))
        order[toward], signs[toward] = int(axis), 1 if cosines[toward, axis] > 0 else -1
        cosines[toward, :] = cosines[:, axis] = np.nan
    return tuple(order), tuple(signs)
