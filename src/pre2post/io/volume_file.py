"""Volumes read from and written to NIfTI and MetaImage files."""

import errno
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.image.itk import last_line
from pre2post.image.volume import Volume, from_image, place, stored_type, to_image
from pre2post.io.nifti import check_length

COMPRESSION_LEVEL = 1  # noise hardly compresses: higher levels cost ten times the time and save a few per cent
MOST_VOXELS = 2**30  # of a file: 1024 slices of 1024 x 1024; a small compressed file can claim, and hold, far more


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
    _check_kind(
        path, reader.GetDimension(), reader.GetNumberOfComponents(), sitk.GetPixelIDValueAsString(reader.GetPixelID())
    )
    found = place(reader.GetSize()[::-1], reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    _check_place(path, found)
    return found


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
        raise InputError(
            "the volume is missing",
            file=path,
            expected="a NIfTI or MetaImage file",
            hint="put it there, or correct what names it",
        )
    return Path(path)


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    return InputError(
        "the volume cannot be read",
        file=path,
        found=last_line(error),
        expected="a NIfTI or MetaImage file",
        hint="write it again or leave the case out",
    )


def _check_kind(path: Path, dimensions: int, values: int, kind: str) -> None:
    if dimensions != 3 or values != 1 or "complex" in kind:
        raise InputError(
            "this is not one volume",
            file=path,
            expected="3 dimensions, 1 value a voxel",
            found=f"{dimensions} dimensions, {values} values a voxel ({kind})",
        )


def _check_place(path: Path, found: Volume) -> None:
    if not np.isfinite([*found.spacing, *found.origin, *found.direction]).all():
        raise InputError(
            "the header does not say where the volume lies",
            file=path,
            expected="finite numbers",
            found="NaN or infinity among its spacing, origin and direction",
            hint="write it again or leave the case out",
        )
    if found.array.size > MOST_VOXELS:
        raise InputError(
            "the volume is too large",
            file=path,
            found=f"{found.array.size} voxels",
            expected=f"at most {MOST_VOXELS}",
            hint="look at its header, or leave the case out",
        )


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
    array = np.asarray(volume.array, stored_type(volume.array.dtype)).transpose(2, 1, 0)
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
        raise OSError(
            errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO, last_line(error)
        ) from None
    if target.stat().st_size < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
