"""Sets of feature vectors that grow image by image in bounded memory, and distances between two sets."""

from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.frechet import Moments, frechet_distance, moments, pooled
from pre2post.metrics.kid import kid

CONSTANT = 1e-6  # SD, absolute or relative to the mean, below which a feature of float32 slices varies by rounding only
KID_IMAGES = 1000  # evenly spaced images of a set for its KID: the usual size of a KID subset


class FeatureSet:
    """Moments of all feature vectors added so far, and an evenly spaced sample, both of bounded size."""

    def __init__(self) -> None:
        self._moments: Moments | None = None
        self._sample: list[np.ndarray] = []
        self._stride = 1  # every so many vectors, one is kept in the sample

    @property
    def n(self) -> int:
        return self._moments.n if self._moments else 0

    @property
    def moments(self) -> Moments:
        """The moments of all vectors. Raises InputError if there are none."""
        if self._moments is None:
            raise InputError("this set has no features", expected="at least one image")
        return self._moments

    @property
    def sample(self) -> np.ndarray:
        """Evenly spaced vectors (k, d): all, up to KID_IMAGES; of more, at least KID_IMAGES / 2."""
        return np.stack(self._sample)

    def add(self, features: np.ndarray) -> None:
        """Add feature vectors (n, d)."""
        kept = features[-self.n % self._stride :: self._stride]
        self._sample += [
            np.array(row, np.float64) for row in kept
        ]  # copies: views would keep all of `features` in memory
        while len(self._sample) > KID_IMAGES:
            self._sample, self._stride = self._sample[::2], 2 * self._stride
        part = moments(features)
        self._moments = pooled([self._moments, part]) if self._moments else part


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation (d,) of each feature over the real set, to remove the features' units."""

    mean: np.ndarray
    sd: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Standardise features (n, d) with the mean and standard deviation of the real set."""
        return (features - self.mean) / self.sd

    def of(self, found: Moments) -> Moments:
        """Return the moments of the standardised features."""
        return Moments(self(found.mean), found.factor / self.sd, found.n)


def standard_of(real: Moments) -> Standard:
    """Return the scaling by the real set. For a feature that is constant there, the SD is set to 1."""
    sd = np.sqrt(np.square(real.factor).sum(axis=0) / real.n)
    return Standard(real.mean, np.where(sd > CONSTANT * np.maximum(1, np.abs(real.mean)), sd, 1.0))


UNSCALED = Standard(np.zeros(1), np.ones(1))  # for networks whose features are not scaled, as in FID


def set_distances(real: FeatureSet, other: FeatureSet, standard: Standard) -> dict[str, float]:
    """Return {"frechet", "kid"} of two sets after the same scaling. Raises InputError for fewer than two vectors."""
    return {
        "frechet": frechet_distance(standard.of(real.moments), standard.of(other.moments)),
        "kid": kid(standard(real.sample), standard(other.sample)),
    }
