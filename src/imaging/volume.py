"""A volume is an array with its place in the patient; it is read and written as NIfTI or MetaImage."""

import errno
import gzip
import os
import shutil
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from imaging.nifti import check_length
from pipeline.errors import InputError
from pipeline.files import atomic_path

COMPRESSION_LEVEL = 1  # noise hardly compresses: higher levels cost ten times the time and save a few per cent
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

    array = sitk.GetArrayFromImage(image).astype(dtype, copy=False)
    return Volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_image(volume: Volume):
    """A Volume as a SimpleITK image; masks (bool, uint8) stay uint8, everything else becomes float32."""
    import SimpleITK as sitk

    kept = np.uint8 if volume.array.dtype in (np.bool_, np.uint8) else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=kept))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def use_one_thread() -> None:
    """For workers that share a machine's cores: SimpleITK would start as many threads as there are cores in each."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def to_lps(volume: Volume) -> Volume:
    """The same volume with its axes swapped and flipped so that x, y, z run to left, posterior, superior."""
    import SimpleITK as sitk

    return from_image(sitk.DICOMOrient(to_image(volume), "LPS"), volume.array.dtype)


def from_lps(turned: Volume, original: Volume) -> Volume:
    """Undoes to_lps: the values of `turned`, which lies as to_lps(original) does, in the exact place of `original`."""
    probe = replace(original, array=np.arange(24, dtype=np.float32).reshape(2, 3, 4))  # axes are known by their length
    seen = to_lps(probe).array
    order = [seen.shape.index(length) for length in probe.array.shape]
    flipped = tuple(axis for axis in range(3) if np.take(seen, 1, axis).min() < np.take(seen, 0, axis).min())
    return original.like(np.flip(turned.array, flipped).transpose(order))


def read_volume(path: Path, dtype=np.float32) -> Volume:
    """Reads a three-dimensional NIfTI or MetaImage file of any type of number, as it is turned there.

    Raises InputError when it is missing, unreadable, not 3D or not one real number a voxel.
    """
    import SimpleITK as sitk

    path = Path(path)
    if not path.is_file():
        raise InputError("the volume is missing", file=path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError("the volume cannot be read", file=path, found=last_line(error),
                         expected="a NIfTI or MetaImage file", todo="write it again or leave the case out") from None
    kind, values = image.GetPixelIDTypeAsString(), image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() != 3 or values != 1 or "complex" in kind:
        found = f"{image.GetDimension()} dimensions, {values} values a voxel ({kind})"
        raise InputError("this is not one volume", file=path, found=found, expected="3 dimensions, 1 value a voxel")
    check_length(path, sitk.GetArrayViewFromImage(image))
    return from_image(image, dtype)


def write_volume(volume: Volume, path: Path) -> None:
    """Writes float32, or uint8 for masks, whole or not at all; equal volumes give equal bytes. `.gz` is compressed.

    Raises InputError for NaN or infinity, which NIfTI would give back as 0.
    """
    if not np.isfinite(volume.array).all():
        raise InputError("the volume holds values that are not finite", file=path, expected="numbers")
    with atomic_path(path) as temporary:
        if path.suffix != ".gz":
            _write_plain(volume, temporary, path)
            return
        plain = temporary.with_suffix("")
        try:
            _write_plain(volume, plain, path)
            _compress(plain, temporary, path)
        finally:
            plain.unlink(missing_ok=True)


def _write_plain(volume: Volume, target: Path, path: Path) -> None:
    """Writes an uncompressed file. The NIfTI library does not tell when the disk is full, so its size is checked."""
    import SimpleITK as sitk

    image = to_image(volume)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        sitk.WriteImage(image, str(target))
    except RuntimeError as error:
        number = errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO
        raise OSError(number, last_line(error), str(path)) from None
    if target.stat().st_size < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _compress(plain: Path, target: Path, path: Path) -> None:
    """Gzip without name and time, which would change the bytes from run to run."""
    try:
        with open(plain, "rb") as source, open(target, "wb") as file, \
                gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as packed:
            shutil.copyfileobj(source, packed, 1 << 20)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def last_line(error: Exception) -> str:
    """What a library's error says in the end: above stands where in its own code."""
    return str(error).strip().splitlines()[-1].strip()
