"""From a pre-contrast volume to a synthetic post-contrast one, slice by slice, whatever it is that translates."""

from collections.abc import Callable

import numpy as np

from imaging.scale import IntensityScale
from imaging.slices import from_slices, to_slices
from imaging.volume import Volume

Translate = Callable[[np.ndarray], np.ndarray]  # normalised slices (z, size, size), float32, to as many of the same


def synthetic_volume(pre: Volume, scale: IntensityScale, size: int, translate: Translate) -> Volume:
    """The translated volume in scanner units, with the exact geometry of `pre`, whose axes run as in LPS."""
    slices = to_slices(scale.normalise(pre.array), size)
    return pre.like(scale.restore(from_slices(translate(slices), pre.array.shape)))
