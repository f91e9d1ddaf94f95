"""What every extractor asks of the slices that it is given."""

import numpy as np

from pre2post.core.errors import InputError


def check_slices(slices, smallest: int) -> None:
    """Raises InputError unless `slices` is (n, h, w) of at least `smallest` pixels a side, all finite."""
    if np.ndim(slices) != 3 or np.shape(slices)[0] < 1 or min(np.shape(slices)[1:]) < smallest:
        raise InputError(
            "features cannot be taken from this",
            found=f"shape {np.shape(slices)}",
            expected=f"slices (n, h, w) of at least {smallest} x {smallest} pixels",
        )
    for image in slices:
        if not np.isfinite(image).all():
            raise InputError("a slice holds values that are not finite", expected="no NaN or infinity")
