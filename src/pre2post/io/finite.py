"""Finds NaN and infinity in a volume file: the library that reads NIfTI gives them back as 0 and says nothing."""

from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume


def check_finite(volume: Volume, path: Path) -> None:
    """Raises InputError when `volume`, or the NIfTI file it was read from, holds values that are no finite numbers."""
    arrays = [volume.array, _stored(path)] if path.name.endswith((".nii", ".nii.gz")) else [volume.array]
    bad = max(array.size - np.count_nonzero(np.isfinite(array)) for array in arrays)
    if bad:
        raise InputError(
            "the volume holds values that are not finite",
            file=path,
            found=f"{bad} of {volume.array.size} voxels are NaN, infinite or too large for float32",
            expected="numbers",
            hint="find out where they come from, or replace them by 0 if they are air",
        )


def _stored(path: Path) -> np.ndarray:
    """The numbers in a NIfTI file as they are, read by a library that keeps NaN."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        return nibabel.load(path).dataobj.get_unscaled()
    except (ImageFileError, HeaderDataError, OSError, OverflowError, ValueError) as error:
        raise InputError(
            "the volume cannot be read",
            file=path,
            found=" ".join(str(error).split()),
            expected="a NIfTI file",
            hint="write it again",
        ) from None
