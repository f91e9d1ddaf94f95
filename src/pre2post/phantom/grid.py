"""The sampling grid of a scan, and the body frame of the anatomy.

Body frame, mm, LPS: x to the patient's left (0 = midline), y to the back (0 = skin over the sternum), z to the head
(0 = height of the nipples). Anatomy is evaluated in this frame, so that every grid shows the same patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERED_HEIGHT = 120.0  # height of the imaged slab in mm: most of both breasts


Box = tuple[slice, slice, slice]  # (z, y, x)
Coordinates = Sequence[float] | np.ndarray  # (x, y, z) in mm


@dataclass(frozen=True)
class Grid:
    """Voxel centres. `shape` is (z, y, x); `spacing` and `origin` (centre of the first voxel) are (x, y, z) in mm."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y and z coordinates in mm that broadcast against a (z, y, x) array."""
        x, y, z = (self.origin[i] + self.spacing[i] * np.arange(self.shape[2 - i]) for i in range(3))
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def box(self, low: Coordinates, high: Coordinates) -> Box:
        """Return slices (z, y, x) of the voxels between corners `low` and `high` (x, y, z in mm), plus one voxel."""
        spans = []
        for i in range(3):
            first = int(np.floor((low[i] - self.origin[i]) / self.spacing[i]))
            last = int(np.ceil((high[i] - self.origin[i]) / self.spacing[i])) + 1
            spans.append(slice(max(first, 0), min(max(last, 0), self.shape[2 - i])))
        return spans[2], spans[1], spans[0]

    def finer(self, box: Box, factor: int) -> "Grid":
        """Return the grid of `box` with every voxel divided into `factor` parts along each axis."""
        starts = [box[2].start, box[1].start, box[0].start]
        dx, dy, dz = spacing = tuple(s / factor for s in self.spacing)
        x, y, z = (self.origin[i] + starts[i] * self.spacing[i] - (factor - 1) / 2 * spacing[i] for i in range(3))
        slices, rows, columns = (factor * (s.stop - s.start) for s in box)
        return Grid((slices, rows, columns), (dx, dy, dz), (x, y, z))

    @property
    def voxel_volume(self) -> float:
        return self.spacing[0] * self.spacing[1] * self.spacing[2]


def make_grid(field_of_view: float, front: float, matrix: int, slices: int) -> Grid:
    """Return the grid of an axial slab; `field_of_view` in mm, `front` is the y of its anterior edge.

    Spacings are rounded to the digits of DICOM's decimal strings, so that headers and anatomy agree exactly.
    """
    pixel = round(field_of_view / matrix, 4)
    thickness = round(COVERED_HEIGHT / slices, 3)
    x, y, z = -pixel * (matrix - 1) / 2, front + pixel / 2, -thickness * (slices - 1) / 2
    return Grid((slices, matrix, matrix), (pixel, pixel, thickness), (round(x, 4), round(y, 4), round(z, 4)))


def block_mean(array: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor`³ voxels: partial volume from a finer grid."""
    z, y, x = (n // factor for n in array.shape)
    return array.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5))
