"""The interface to SimpleITK: volumes as its images, its errors in one line, and its number of threads."""

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from pre2post.image.volume import Volume

if TYPE_CHECKING:
    from SimpleITK import Image

ERROR_PREFIX = re.compile(r"^(ITK |sitk::)?ERROR: (\w+\(0x[0-9a-f]+\): )?")  # holds an address, so no two runs agree


def from_image(image: "Image", dtype: DTypeLike = np.float32) -> Volume:
    """Convert a SimpleITK image to a Volume."""
    import SimpleITK as sitk

    with np.errstate(over="ignore"):  # overflow becomes infinity, which the readers check for
        array = sitk.GetArrayFromImage(image).astype(dtype, copy=False)
    return Volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_image(volume: Volume) -> "Image":
    """Convert a Volume to a SimpleITK image of stored_type."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=stored_type(volume.array.dtype)))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def stored_type(dtype: np.dtype) -> type[np.generic]:
    """Return the type in files: uint8 for masks (bool, uint8), int16 and uint16 as they are, else float32."""
    if dtype in (np.bool_, np.uint8):
        return np.uint8
    return dtype.type if dtype in (np.int16, np.uint16) else np.float32


def last_line(error: Exception) -> str:
    """Return the last line of a library's error; the lines before it name places in its code and memory."""
    return ERROR_PREFIX.sub("", str(error).strip().splitlines()[-1].strip())


def use_one_thread() -> None:
    """Limit SimpleITK to one thread, for workers that share the cores; by default each starts one per core."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
