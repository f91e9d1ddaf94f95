"""From a pre-contrast volume to a synthetic post-contrast one, slice by slice, whatever it is that translates."""

from collections.abc import Callable

import numpy as np

from pre2post.image.intensity import IntensityScale
from pre2post.image.slices import from_slices, to_slices
from pre2post.image.volume import Volume

# Normalised slices (z, size, size), float32, to as many of the same; of several phases (z, phases, size, size).
Infer = Callable[[np.ndarray], np.ndarray]


def synthetic_volumes(pre: Volume, scale: IntensityScale, size: int, infer: Infer) -> list[Volume]:
    """Return the synthetic volume of each phase in scanner units, in the exact geometry of `pre`, which is in LPS."""
    return [pre.like(scale.restore(array)) for array in translate(scale.normalise(pre.array), size, infer)]


def translate(array: np.ndarray, size: int, infer: Infer) -> list[np.ndarray]:
    """Return a normalised volume (z, y, x) after `infer` on slices of `size` pixels, one array per phase.

    With a baseline as `infer`, such as a look-up table, the baseline loses the same detail as a generator.
    """
    translated = infer(to_slices(array, size))
    phases = [translated] if translated.ndim == 3 else translated.swapaxes(0, 1)
    return [from_slices(slices, array.shape) for slices in phases]
