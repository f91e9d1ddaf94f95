"""Reading and writing of volumes in NIfTI and MetaImage files."""

import errno
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import IOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.image.itk import from_image, last_line, stored_type, to_image
from pre2post.image.volume import Volume, geometry_only
from pre2post.io.validation import check_length

if TYPE_CHECKING:
    from nibabel import Nifti1Image
    from SimpleITK import Image, ImageFileReader

COMPRESSION_LEVEL = 1  # noise hardly compresses: higher levels take ten times as long and save a few per cent
MAX_VOXELS = 2**30  # 1024 slices of 1024 x 1024; a small compressed file can declare, and hold, far more


def read_geometry(path: Path) -> Volume:
    """Read the geometry of a NIfTI or MetaImage file from its header. Raises InputError as read_volume does."""
    try:
        reader = _header_of(path)
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    _check_kind(path, reader.GetDimension(), reader.GetNumberOfComponents(), _kind(reader))
    found = geometry_only(reader.GetSize()[::-1], reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    _check_geometry(path, found)
    return found


def read_volume(path: Path, dtype: DTypeLike = np.float32) -> Volume:
    """Read a three-dimensional NIfTI or MetaImage file of any number type, in the orientation of the file.

    Raises InputError if it is missing, unreadable, not 3D or not one real number per voxel.
    """
    import SimpleITK as sitk

    path = _present(path)
    read_geometry(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    check_length(path, sitk.GetArrayViewFromImage(image))
    return from_image(image, dtype)


def read_size(path: Path) -> tuple[int, ...]:
    """Read the size (x, y, ...) of a file of any dimension from its header.

    Raises InputError if the file is missing, RuntimeError if it is unreadable.
    """
    return tuple(_header_of(path).GetSize())


def read_time_point(path: Path, index: int, dtype: DTypeLike = np.float32) -> Volume:
    """Read one volume of a file of four dimensions, index 0 being the first. Raises InputError as read_volume does."""
    try:
        reader = _header_of(path)
        _check_kind(path, reader.GetDimension() - 1, reader.GetNumberOfComponents(), _kind(reader))
        reader.SetExtractSize([*reader.GetSize()[:3], 0])
        reader.SetExtractIndex([0, 0, 0, index])
        volume = from_image(reader.Execute(), dtype)
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    _check_geometry(path, volume)
    check_length(path)
    return volume


def _header_of(path: Path) -> "ImageFileReader":
    """Return SimpleITK's reader of a file after it has read the header. Raises RuntimeError if it cannot."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(_present(path)))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader.ReadImageInformation()
    return reader


def _kind(reader: "ImageFileReader") -> str:
    import SimpleITK as sitk

    return sitk.GetPixelIDValueAsString(reader.GetPixelID())


def _present(path: Path) -> Path:
    if not Path(path).is_file():
        raise InputError(
            "the volume is missing",
            file=path,
            expected="a NIfTI or MetaImage file",
            hint="add the file, or correct the path",
        )
    return Path(path)


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    return InputError(
        "the volume cannot be read",
        file=path,
        found=last_line(error),
        expected="a NIfTI or MetaImage file",
        hint="write it again, or leave the case out",
    )


def _check_kind(path: Path, dimensions: int, values: int, kind: str) -> None:
    if dimensions != 3 or values != 1 or "complex" in kind:
        raise InputError(
            "this is not a single volume",
            file=path,
            expected="3 dimensions, 1 value per voxel",
            found=f"{dimensions} dimensions, {values} values per voxel ({kind})",
        )


def _check_geometry(path: Path, found: Volume) -> None:
    if not np.isfinite([*found.spacing, *found.origin, *found.direction]).all():
        raise InputError(
            "the header holds no usable geometry",
            file=path,
            expected="finite numbers",
            found="NaN or infinity in spacing, origin or direction",
            hint="write it again, or leave the case out",
        )
    if found.array.size > MAX_VOXELS:
        raise InputError(
            "the volume is too large",
            file=path,
            found=f"{found.array.size} voxels",
            expected=f"at most {MAX_VOXELS}",
            hint="check its header, or leave the case out",
        )


def write_volume(volume: Volume, path: Path) -> None:
    """Write float32, int16, uint16, or uint8 for masks; equal volumes give equal bytes.

    `.gz` compresses, which takes ten times as long and saves little if there is noise.
    Raises InputError for NaN or infinity, which would be read back as 0.
    """
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise InputError("the volume holds values that are not finite", file=path, expected="numbers")
    with atomic_path(path) as temporary:
        try:
            if path.name.endswith((".nii", ".nii.gz")):
                with _opened(temporary) as stream:
                    _to_nifti(volume).to_stream(stream)
            else:
                write_image(to_image(volume), temporary)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def _opened(path: Path) -> Iterator[IOBase]:
    """Open a file to write; gzip omits name and time, which would change the bytes from run to run."""
    with open(path, "wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as packed:
            yield packed


def _to_nifti(volume: Volume) -> "Nifti1Image":
    """Convert a Volume to a NIfTI image, whose axes run to right and anterior, unlike those of DICOM."""
    import nibabel

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(volume.direction, (3, 3)) * volume.spacing
    affine[:3, 3] = volume.origin
    affine[:2] *= -1
    array = np.asarray(volume.array, stored_type(volume.array.dtype)).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(array, affine)
    image.set_qform(affine, 1)  # 1: the scanner's coordinates
    image.set_sform(None, 0)  # unlike the quaternion, it would not be read back to the last digit
    image.header.set_xyzt_units("mm")
    return image


def write_image(image: "Image", target: Path) -> None:
    """Write an image with SimpleITK. Raises OSError, also for a full disk, which the library does not always report."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        sitk.WriteImage(image, str(target))
    except RuntimeError as error:
        raise OSError(
            errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO, last_line(error)
        ) from None
    if target.stat().st_size < image.GetNumberOfPixels() * image.GetSizeOfPixelComponent():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
