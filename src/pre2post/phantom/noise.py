"""Smooth random fields in mm: a periodic lattice of normal numbers, interpolated by cubic B-splines.

A field belongs to the patient, not to the grid: every grid samples the same pattern.
"""

import numpy as np
from scipy.ndimage import map_coordinates

from pre2post.phantom.grid import Grid

LATTICE = 32  # nodes per side; the field repeats after 32 scales, more than the width of any organ
MEAN_SQUARE_WEIGHT = 0.4793650793650794  # of the cubic B-spline, per axis: integral of its square, 151/315


class NoiseField:
    """Zero mean, unit variance, correlated over about `scale` mm."""

    def __init__(self, rng: np.random.Generator, scale: float):
        self.lattice = rng.standard_normal((LATTICE, LATTICE, LATTICE)) / MEAN_SQUARE_WEIGHT**1.5
        self.scale = scale

    def on(self, grid: Grid) -> np.ndarray:
        """Return the field at every voxel centre, (z, y, x)."""
        z, y, x = (_weights(axis.ravel() / self.scale) for axis in reversed(grid.axes()))
        return y @ np.tensordot(z, self.lattice, 1) @ x.T

    def at(self, *coordinates: np.ndarray) -> np.ndarray:
        """Return the field at points, given as three arrays of equal shape in the unit of `scale` (mm or radians)."""
        nodes = np.stack([np.asarray(c, dtype=float) / self.scale for c in coordinates])
        return map_coordinates(self.lattice, nodes, order=3, mode="grid-wrap", prefilter=False)


def _weights(position: np.ndarray) -> np.ndarray:
    """Return the weights (n, LATTICE) of the nodes at `position` (n,) in nodes: periodic cubic B-splines."""
    node = np.floor(position).astype(int)
    t = position - node
    parts = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    weights = np.zeros((len(position), LATTICE))
    for k, part in enumerate(parts):
        weights[np.arange(len(position)), (node + k - 1) % LATTICE] = part
    return weights
