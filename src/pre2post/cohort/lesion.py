"""Where the tumour of an ingested case is, as it is needed where tumours are learned, segmented or scored."""

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.errors import InputError
from pre2post.image.masks import box_mask
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume


def read_mask(case: Case, needs_tumour: bool = True) -> Volume:
    """The mask of a case, uint8 0 or 1. Raises InputError when it has other labels or, if it needs one, no tumour."""
    file = case.path("mask")
    mask = read_volume(file)
    labels = np.unique(mask.array)
    if not np.isin(labels, (0, 1)).all():
        raise InputError(
            "the mask has labels of its own",
            case=case.id,
            file=file,
            expected="0 background, 1 tumour",
            found=", ".join(f"{label:g}" for label in labels[:8]),
            hint="write tumour as 1, all else as 0",
        )
    if needs_tumour and not mask.array.any():
        raise InputError(
            "there is no tumour in the mask",
            case=case.id,
            file=file,
            found="zeros only",
            expected="at least one voxel of 1",
            hint="correct the mask, or leave the case out",
        )
    return mask.like(mask.array.astype(np.uint8))


def read_lesion(case: Case, pre: Volume, needs_tumour: bool = True) -> Volume | None:
    """The case's mask as read_mask gives it, else all of its annotated box in the place of `pre`; None without both."""
    if case.has_mask:
        return read_mask(case, needs_tumour)
    return pre.like(box_mask(case.box, pre.array.shape)) if case.box else None
