"""How well grey levels separate a lesion from its surroundings."""

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError


def separation(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return the area under the ROC curve (0 to 1) of the values inside against those outside, both of any shape.

    It is the probability that a voxel inside is brighter than one outside; ties count half (Hanley and McNeil 1982).
    0.5: grey levels do not separate them. Monotone changes of the grey levels do not change it.

    Raises InputError if one side is empty, or a value is not finite.
    """
    from scipy.stats import rankdata

    first, second = (np.asarray(values, np.float64).ravel() for values in (inside, outside))
    if not (first.size and second.size and np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError(
            "the separation of these voxels is not defined",
            found=f"{first.size} voxels inside, {second.size} outside",
            expected="at least one of each, and finite values",
        )
    ranks = rankdata(np.concatenate([first, second]))[: first.size]
    return float((ranks.mean() - (first.size + 1) / 2) / second.size)
