"""The baselines that make volumes as the generator does: functions of normalised slices, fitted on training slices."""

from collections.abc import Callable, Sequence

import numpy as np

from pre2post.core.paths import SLICES
from pre2post.io.slice_store import map_array
from pre2post.metrics.baselines import BlurredTable, LookupTable, by_phase, fit_blurred_table, fit_lookup_table
from pre2post.pix2pixhd.neighbours import without_neighbours
from pre2post.segmentation.design import BASELINES
from pre2post.synthesis.volumes import Infer

Table = LookupTable | BlurredTable
Fit = Callable[[np.ndarray, np.ndarray], Table]


def fit_baselines() -> dict[str, Infer]:
    """Return {baseline: function of slices} for BASELINES; only the generator's training patients are used.

    Raises InputError if the training slices are missing, or of one grey level.
    """
    pre = without_neighbours(map_array(SLICES / "train_pre.npy"))
    post = map_array(SLICES / "train_post.npy")
    fits: tuple[Fit, ...] = (fit_lookup_table, fit_blurred_table)
    return {
        name: _jointly([fit(pre, phase) for phase in by_phase(post)]) for name, fit in zip(BASELINES, fits, strict=True)
    }


def _jointly(tables: Sequence[Table]) -> Infer:
    """Return a function from slices (z, size, size) to the slices of all phases (z, phases, size, size)."""
    return lambda slices: np.stack([table(slices) for table in tables], axis=1)
