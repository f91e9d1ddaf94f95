"""The slices next to a slice, as further input of the generator."""

import numpy as np


def with_neighbours(slices: np.ndarray, neighbours: int) -> np.ndarray:
    """Return each slice of a volume (z, y, x) together with its neighbours: (z, 1 + 2 * neighbours, y, x).

    The slice itself is first, then z - 1, z + 1, z - 2, ...; the outermost slices are repeated.
    """
    if not neighbours:
        return slices[:, None]
    offsets = [0, *(sign * step for step in range(1, neighbours + 1) for sign in (-1, 1))]
    places = np.arange(len(slices))[:, None] + offsets
    return slices[places.clip(0, len(slices) - 1)]


def without_neighbours(slices: np.ndarray) -> np.ndarray:
    """Return the slices (n, y, x) themselves from slices with neighbours (n, 1 + 2 * neighbours, y, x), or as given."""
    return slices[:, 0] if slices.ndim == 4 else slices
