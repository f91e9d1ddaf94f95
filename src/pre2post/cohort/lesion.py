"""The tumour of an ingested case, from its mask or its annotated box."""

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.errors import InputError
from pre2post.image.masks import box_mask
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume


def read_mask(case: Case, needs_tumour: bool = True) -> Volume:
    """Read the mask of a case, uint8 0 or 1.

    Raises InputError if it has other labels or, with `needs_tumour`, is empty.
    """
    file = case.path("mask")
    mask = read_volume(file)
    labels = np.unique(mask.array)
    if not np.isin(labels, (0, 1)).all():
        raise InputError(
            "the mask has unexpected labels",
            case=case.id,
            file=file,
            expected="0 background, 1 tumour",
            found=", ".join(f"{label:g}" for label in labels[:8]),
            hint="label the tumour 1 and everything else 0",
        )
    if needs_tumour and not mask.array.any():
        raise InputError(
            "the mask holds no tumour",
            case=case.id,
            file=file,
            found="zeros only",
            expected="at least one voxel with label 1",
            hint="correct the mask, or leave the case out",
        )
    return mask.like(mask.array.astype(np.uint8))


def read_lesion(case: Case, pre: Volume, needs_tumour: bool = True) -> Volume | None:
    """Read the mask of a case, or fill its annotated box in the geometry of `pre`; return None without both."""
    if case.has_mask:
        return read_mask(case, needs_tumour)
    return pre.like(box_mask(case.box, pre.array.shape)) if case.box else None
