"""The volumes of a case, real and synthetic: their files, geometry, and the halves of the body."""

from functools import cache
from pathlib import Path

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.errors import InputError
from pre2post.core.paths import synthetic_name
from pre2post.image.body_mask import body_mask
from pre2post.image.laterality import halves
from pre2post.image.volume import Volume, describe_geometry, same_geometry
from pre2post.io.volume_file import read_volume
from pre2post.segmentation.design import is_synthetic

Box = tuple[slice, slice, slice]  # (z, y, x)


def volume_file(case: Case, phase: str, synthetic: Path) -> Path:
    """Return the file of a phase of a case; `synthetic` is the folder of synthetic volumes.

    Raises InputError if the case does not have this phase.
    """
    if not is_synthetic(phase):
        return case.path(phase)
    file = synthetic / synthetic_name(case.id, phase)
    if not file.is_file():
        raise InputError("the synthetic volume is missing", case=case.id, file=file, hint="run `dvc repro synthesize`")
    return file


def check_image(image: Volume, mask: Volume, case_id: str, file: Path) -> None:
    """Raises InputError if the geometry of an image, read from `file`, is not that of its mask."""
    if not same_geometry(image, mask):
        raise InputError(
            "image and mask differ in geometry",
            case=case_id,
            file=file,
            found=describe_geometry(image),
            expected=f"that of the mask: {describe_geometry(mask)}",
            hint="resample the mask onto the image, or exclude the case",
        )


def body_halves(case: Case) -> tuple[slice, slice]:
    """Return the columns of the right and left half of the body, from the pre-contrast volume, never from the mask."""
    return _body(case)[0]


def body_box(case: Case) -> Box:
    """Return the smallest box around the body (z, y, x), from the pre-contrast volume."""
    return _body(case)[1]


@cache  # each mix and phase of a case needs them, and the body mask takes time
def _body(case: Case) -> tuple[tuple[slice, slice], Box]:
    from scipy.ndimage import find_objects

    pre = read_volume(case.path("pre"))
    mask = body_mask(pre.array, pre.spacing)
    return halves(mask), find_objects(mask.astype(np.uint8))[0]
