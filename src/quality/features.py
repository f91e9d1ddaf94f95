"""What feature extractors share: scaling by the real set, so that no feature outweighs the others by its unit."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError

CONSTANT = 1e-9  # relative: a feature that varies less than this over the real set is constant but for rounding


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation (d,) of each feature over the real set."""

    mean: np.ndarray
    sd: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (n, d) in units of the real set's standard deviation from its mean."""
        return (features - self.mean) / self.sd


def standard_of(features: np.ndarray) -> Standard:
    """Scaling by real features (n, d); a feature that is constant there keeps its own unit (SD taken as 1)."""
    mean, sd = features.mean(axis=0), features.std(axis=0)
    return Standard(mean, np.where(sd > CONSTANT * np.abs(mean), sd, 1.0))


def check_slices(slices, smallest: int) -> None:
    """Raises InputError unless `slices` is (n, h, w) of at least `smallest` pixels a side, all finite."""
    if np.ndim(slices) != 3 or np.shape(slices)[0] < 1 or min(np.shape(slices)[1:]) < smallest:
        raise InputError("features cannot be taken from this", found=f"shape {np.shape(slices)}",
                         expected=f"slices (n, h, w) of at least {smallest} x {smallest} pixels")
    for image in slices:
        if not np.isfinite(image).all():
            raise InputError("a slice holds values that are not finite", expected="no NaN or infinity")
