"""From a pre-contrast volume to a synthetic post-contrast one, slice by slice, whatever it is that translates."""

from collections.abc import Callable

import numpy as np

from pre2post.image.intensity import IntensityScale
from pre2post.image.slices import from_slices, to_slices
from pre2post.image.volume import Volume

# Normalised slices (z, size, size), float32, to as many of the same; of several phases (z, phases, size, size).
Infer = Callable[[np.ndarray], np.ndarray]


def synthetic_volumes(pre: Volume, scale: IntensityScale, size: int, infer: Infer) -> list[Volume]:
    """The translated volume of each phase in scanner units, with the exact geometry of `pre`, whose axes run as in
    LPS."""
    translated = infer(to_slices(scale.normalise(pre.array), size))
    phases = [translated] if translated.ndim == 3 else translated.swapaxes(0, 1)
    return [pre.like(scale.restore(from_slices(slices, pre.array.shape))) for slices in phases]
