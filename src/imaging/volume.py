"""A volume is an array with its place in the patient; it is read and written as NIfTI or MetaImage."""

import errno
import gzip
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imaging.nifti import check_length
from pipeline.errors import InputError
from pipeline.files import atomic_path

COMPRESSION_LEVEL = 1  # noise hardly compresses: higher levels cost ten times the time and save a few per cent
MOST_VOXELS = 2**30  # of a file: 1024 slices of 1024 x 1024; a small compressed file can claim, and hold, far more
WHERE = re.compile(r"^(ITK |sitk::)?ERROR: (\w+\(0x[0-9a-f]+\): )?")  # how errors of ITK begin; no two runs alike
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


def place(shape: tuple[int, int, int], spacing: tuple[float, ...], origin: tuple[float, ...],
          direction: tuple[float, ...]) -> Volume:
    """A volume without values, of no memory: its shape (z, y, x) and where it lies, to compare with others."""
    return Volume(np.broadcast_to(np.uint8(0), shape), spacing, origin, direction)


def read_place(path: Path) -> Volume:
    """Where the volume of a NIfTI or MetaImage file lies, by its header. Raises InputError as read_volume does."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(_present(path)))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    _check_kind(path, reader.GetDimension(), reader.GetNumberOfComponents(),
                sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    found = place(reader.GetSize()[::-1], reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    _check_place(path, found)
    return found


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
    return (f"{' x '.join(map(str, size))} voxels of {' x '.join(f'{s:.4g}' for s in spacing)} mm, "
            f"first at ({', '.join(f'{o:.2f}' for o in origin)}) mm")


def from_image(image, dtype=np.float32) -> Volume:
    """A SimpleITK image as a Volume."""
    import SimpleITK as sitk

    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the readers look for
        array = sitk.GetArrayFromImage(image).astype(dtype, copy=False)
    return Volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_image(volume: Volume):
    """A Volume as a SimpleITK image; masks (bool, uint8) become uint8, 16-bit integers stay, else float32."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=_stored_type(volume.array.dtype)))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def _stored_type(dtype: np.dtype) -> type:
    if dtype in (np.bool_, np.uint8):
        return np.uint8
    return dtype.type if dtype in (np.int16, np.uint16) else np.float32


def use_one_thread() -> None:
    """For workers that share a machine's cores: SimpleITK would start as many threads as there are cores in each."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def to_lps(volume: Volume) -> Volume:
    """The same volume with its axes swapped and flipped so that x, y, z run to left, posterior, superior."""
    order, signs = _lps_axes(volume)
    if order == (0, 1, 2) and signs == (1, 1, 1):
        return volume
    directions, sizes = np.reshape(volume.direction, (3, 3)), volume.array.shape[::-1]
    flipped = [axis for axis, sign in zip(order, signs, strict=True) if sign < 0]
    origin = np.asarray(volume.origin) + sum(
        (directions[:, axis] * volume.spacing[axis] * (sizes[axis] - 1) for axis in flipped), np.zeros(3))
    array = np.flip(volume.array, [2 - axis for axis in flipped]).transpose([2 - axis for axis in order[::-1]])
    if 0 not in array.strides:  # a place without values, which stands for its shape alone, is not filled
        array = np.ascontiguousarray(array)
    return Volume(array, tuple(volume.spacing[axis] for axis in order),
                  tuple(map(float, origin)), tuple(map(float, (directions[:, order] * signs).ravel())))


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


def read_volume(path: Path, dtype=np.float32) -> Volume:
    """Reads a three-dimensional NIfTI or MetaImage file of any type of number, as it is turned there.

    Raises InputError when it is missing, unreadable, not 3D or not one real number a voxel.
    """
    import SimpleITK as sitk

    path = _present(path)
    read_place(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    check_length(path, sitk.GetArrayViewFromImage(image))
    return from_image(image, dtype)


def _present(path: Path) -> Path:
    if not Path(path).is_file():
        raise InputError("the volume is missing", file=path, expected="a NIfTI or MetaImage file",
                         todo="put it there, or correct what names it")
    return Path(path)


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    return InputError("the volume cannot be read", file=path, found=last_line(error),
                      expected="a NIfTI or MetaImage file", todo="write it again or leave the case out")


def _check_kind(path: Path, dimensions: int, values: int, kind: str) -> None:
    if dimensions != 3 or values != 1 or "complex" in kind:
        raise InputError("this is not one volume", file=path, expected="3 dimensions, 1 value a voxel",
                         found=f"{dimensions} dimensions, {values} values a voxel ({kind})")


def _check_place(path: Path, found: Volume) -> None:
    if not np.isfinite([*found.spacing, *found.origin, *found.direction]).all():
        raise InputError("the header does not say where the volume lies", file=path, expected="finite numbers",
                         found="NaN or infinity among its spacing, origin and direction",
                         todo="write it again or leave the case out")
    if found.array.size > MOST_VOXELS:
        raise InputError("the volume is too large", file=path, found=f"{found.array.size} voxels",
                         expected=f"at most {MOST_VOXELS}", todo="look at its header, or leave the case out")


def write_volume(volume: Volume, path: Path) -> None:
    """Writes float32, int16, uint16, or uint8 for masks, whole or not at all; equal volumes give equal bytes.

    `.gz` is compressed, which costs ten times the time of writing, and saves little where there is noise.

    Raises InputError for NaN or infinity, which NIfTI would give back as 0.
    """
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise InputError("the volume holds values that are not finite", file=path, expected="numbers")
    with atomic_path(path) as temporary:
        try:
            if path.name.endswith((".nii", ".nii.gz")):
                with _opened(temporary) as stream:
                    _to_nifti(volume).to_stream(stream)
            else:
                _write_with_itk(volume, temporary)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file to write; gzip goes without name and time, which would change the bytes from run to run."""
    with open(path, "wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as packed:
            yield packed


def _to_nifti(volume: Volume):
    """A Volume as a NIfTI image, whose axes run to the right and the front; DICOM's run to the left and the back."""
    import nibabel

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(volume.direction, (3, 3)) * volume.spacing
    affine[:3, 3] = volume.origin
    affine[:2] *= -1
    array = np.asarray(volume.array, _stored_type(volume.array.dtype)).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(array, affine)
    image.set_qform(affine, 1)  # 1: the scanner's coordinates
    image.set_sform(None, 0)  # its numbers would not come back to the last digit, as the quaternion's do
    image.header.set_xyzt_units("mm")
    return image


def _write_with_itk(volume: Volume, target: Path) -> None:
    """Writes a MetaImage. The library does not always tell when the disk is full, so the size is checked."""
    import SimpleITK as sitk

    image = to_image(volume)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        sitk.WriteImage(image, str(target))
    except RuntimeError as error:
        raise OSError(errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO,
                      last_line(error)) from None
    if target.stat().st_size < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def last_line(error: Exception) -> str:
    """What a library's error says in the end: above stands where in its own code and, before it, in its memory."""
    return WHERE.sub("", str(error).strip().splitlines()[-1].strip())
