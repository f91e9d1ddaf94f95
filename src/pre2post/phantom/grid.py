"""The sampling grid of one scan, and the body frame in which all anatomy is drawn.

Body frame, mm, LPS: x to the patient's left (0 = midline), y to the back (0 = skin over the sternum), z to the head
(0 = height of the nipples). Anatomy is evaluated in this frame, so every grid shows the same patient.
"""

from dataclasses import dataclass

import numpy as np

COVERED_HEIGHT = 120.0  # mm of the patient that the slab covers: most of both breasts


@dataclass(frozen=True)
class Grid:
    """Voxel centres. `shape` is (z, y, x); `spacing` and `origin` (centre of the first voxel) are (x, y, z) in mm."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(x, y, z) coordinates in mm, shaped to broadcast against a (z, y, x) array."""
        x, y, z = (self.origin[i] + self.spacing[i] * np.arange(self.shape[2 - i]) for i in range(3))
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def box(self, low, high) -> tuple[slice, slice, slice]:
        """Slices (z, y, x) of the voxels between the corners `low` and `high` (x, y, z in mm), plus one around."""
        spans = []
        for i in range(3):
            first = int(np.floor((low[i] - self.origin[i]) / self.spacing[i]))
            last = int(np.ceil((high[i] - self.origin[i]) / self.spacing[i])) + 1
            spans.append(slice(max(first, 0), min(max(last, 0), self.shape[2 - i])))
        return spans[2], spans[1], spans[0]

    def finer(self, box: tuple[slice, slice, slice], factor: int) -> "Grid":
        """The grid of `box` with every voxel cut into `factor` parts along each axis."""
        starts = [box[2].start, box[1].start, box[0].start]
        spacing = tuple(s / factor for s in self.spacing)
        origin = tuple(self.origin[i] + starts[i] * self.spacing[i] - (factor - 1) / 2 * spacing[i] for i in range(3))
        return Grid(tuple(factor * (s.stop - s.start) for s in box), spacing, origin)

    @property
    def voxel_volume(self) -> float:
        return self.spacing[0] * self.spacing[1] * self.spacing[2]


def make_grid(field_of_view: float, front: float, matrix: int, slices: int) -> Grid:
    """An axial slab. `field_of_view` in mm; `front` is the y of its anterior edge in the body frame.

    Spacings are rounded to what DICOM's decimal strings hold, so that headers and anatomy agree exactly.
    """
    pixel = round(field_of_view / matrix, 4)
    thickness = round(COVERED_HEIGHT / slices, 3)
    origin = (-pixel * (matrix - 1) / 2, front + pixel / 2, -thickness * (slices - 1) / 2)
    return Grid((slices, matrix, matrix), (pixel, pixel, thickness), tuple(round(value, 4) for value in origin))


def block_mean(array: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of `factor`³ voxels: partial volume from a finer grid."""
    z, y, x = (n // factor for n in array.shape)
    return array.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5))
