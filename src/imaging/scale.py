"""One intensity scale a patient, so that the phases keep their relation: enhancement is the difference between them."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError


@dataclass(frozen=True)
class IntensityScale:
    """A linear map between scanner units and normalised ones: `low` becomes 0, `high` becomes 1; nothing is clipped."""

    low: float
    high: float

    @classmethod
    def from_pre(cls, array: np.ndarray, low_percentile: float, high_percentile: float,
                 ceiling: float) -> "IntensityScale":
        """The scale of a patient from its pre-contrast volume (any shape, scanner units).

        `low` is the low percentile; `high` lies `ceiling` times as far above it as the high percentile, which leaves
        room for what enhances. Raises InputError when the percentiles coincide.
        """
        low, top = (float(value) for value in np.percentile(array, [low_percentile, high_percentile]))
        if not np.isfinite(top - low) or top <= low:
            raise InputError("the pre-contrast volume has no contrast to take an intensity scale from",
                             found=f"percentile {low_percentile:g} = {low:g}, percentile {high_percentile:g} = {top:g}",
                             expected="the second above the first")
        return cls(low, low + ceiling * (top - low))

    def normalise(self, array: np.ndarray) -> np.ndarray:
        """Scanner units to normalised ones, float32."""
        return ((np.asarray(array, np.float64) - self.low) / (self.high - self.low)).astype(np.float32)

    def restore(self, array: np.ndarray) -> np.ndarray:
        """Normalised units back to scanner ones, float32."""
        return (np.asarray(array, np.float64) * (self.high - self.low) + self.low).astype(np.float32)
