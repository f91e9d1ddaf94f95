"""Sets of feature vectors that grow image by image in bounded memory, and the distances between two of them."""

from dataclasses import dataclass

import numpy as np

from pre2post.metrics.frechet import Moments, frechet_distance, moments, pooled
from pre2post.metrics.kernel_distance import kernel_distance

CONSTANT = 1e-6  # a feature of float32 slices that varies less, in itself or relative to its mean, does so by rounding
KERNEL_IMAGES = 1000  # of a set that its kernel distance is taken from, evenly spaced: the usual size of a KID subset


class FeatureSet:
    """Moments of all feature vectors added so far, and an even sample of them; neither grows beyond a fixed size."""

    def __init__(self):
        self.moments: Moments | None = None
        self._sample: list[np.ndarray] = []
        self._stride = 1  # every so many vectors, one is in the sample

    @property
    def n(self) -> int:
        return self.moments.n if self.moments else 0

    @property
    def sample(self) -> np.ndarray:
        """Some of the vectors (k, d), evenly spaced: all up to KERNEL_IMAGES of them, of more at least half as many."""
        return np.stack(self._sample)

    def add(self, features: np.ndarray) -> None:
        """Adds feature vectors (n, d)."""
        kept = features[-self.n % self._stride :: self._stride]
        self._sample += [np.array(row, np.float64) for row in kept]  # copies, or each would keep all of `features`
        while len(self._sample) > KERNEL_IMAGES:
            self._sample, self._stride = self._sample[::2], 2 * self._stride
        part = moments(features)
        self.moments = pooled([self.moments, part]) if self.moments else part


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation (d,) of each feature over the real set, so that none outweighs others by its unit."""

    mean: np.ndarray
    sd: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (n, d) in units of the real set's standard deviation from its mean."""
        return (features - self.mean) / self.sd

    def of(self, found: Moments) -> Moments:
        """The moments that the scaled features would have."""
        return Moments(self(found.mean), found.factor / self.sd, found.n)


def standard_of(real: Moments) -> Standard:
    """Scaling by the real set; a feature that is constant there keeps its own unit (SD taken as 1)."""
    sd = np.sqrt(np.square(real.factor).sum(axis=0) / real.n)
    return Standard(real.mean, np.where(sd > CONSTANT * np.maximum(1, np.abs(real.mean)), sd, 1.0))


UNSCALED = Standard(np.zeros(1), np.ones(1))  # for networks whose features are compared as they are, as those of FID


def set_distances(real: FeatureSet, other: FeatureSet, standard: Standard) -> dict[str, float]:
    """{"frechet", "kernel"} between two sets whose features are scaled alike. Raises InputError for sets too small."""
    return {
        "frechet": frechet_distance(standard.of(real.moments), standard.of(other.moments)),
        "kernel": kernel_distance(standard(real.sample), standard(other.sample)),
    }
