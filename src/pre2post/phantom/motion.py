"""Motion between phases: a shift of the body and a deformation of both breasts, by shears in k-space.

Patients move between phases, and the breasts deform, which registration corrects: Rueckert et al., IEEE Trans Med
Imaging 18:712 (1999); Zuo et al., Radiology 198:903 (1996). The range of 1 to 3 mm is an assumption.
A shear displaces each row or column by a phase ramp of its Fourier transform, which keeps the resolution: Eddy et al.,
Magn Reson Med 36:923 (1996). Tumours are annotated on the first post-contrast phase: it is at rest.
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.grid import Grid
from pre2post.phantom.shapes import ramp

DISTANCE = (1.0, 3.0)  # mm, displacement of the breast that moves most
BREAST = 72.0  # mm from the midline to the middle of a breast
WIDTH = 40.0  # mm over which its displacement fades


@dataclass(frozen=True)
class Motion:
    """In mm: shift (x, y) of the body, further shift along x of the breasts, along y of the right and left breast."""

    shift: tuple[float, float]
    swing: float
    sag: tuple[float, float]

    def along_x(self, grid: Grid) -> np.ndarray:
        """Return the displacement of each row, (1, y, 1) in mm; breasts hang in front of the chest, y < 0."""
        return self.shift[0] + self.swing * ramp(-grid.axes()[1], -20, 60)

    def along_y(self, grid: Grid) -> np.ndarray:
        """Return the displacement of each column, (1, 1, x) in mm."""
        x = grid.axes()[0]
        right, left = (np.exp(-(((x - side * BREAST) / WIDTH) ** 2)) for side in (-1, 1))
        return self.shift[1] + self.sag[0] * right + self.sag[1] * left

    @property
    def distance(self) -> float:
        """Return the displacement of the breast that moves most, in mm."""
        return max(float(np.hypot(self.shift[0] + self.swing, self.shift[1] + sag)) for sag in self.sag)


REST = Motion((0.0, 0.0), 0.0, (0.0, 0.0))


def draw_motion(rng: np.random.Generator) -> Motion:
    """Draw a motion whose largest displacement is within DISTANCE."""
    shift, (swing, *sag) = rng.normal(0, 0.5, 2), rng.normal(0, 0.5, 3)
    wanted = rng.uniform(*DISTANCE)
    raw = Motion((shift[0], shift[1]), swing, (sag[0], sag[1]))
    f = wanted / max(raw.distance, 1e-6)
    return Motion((f * shift[0], f * shift[1]), f * swing, (f * sag[0], f * sag[1]))


def move(image: np.ndarray, motion: Motion, grid: Grid) -> np.ndarray:
    """Return the real `image` (z, y, x) after the motion."""
    if motion == REST:
        return image
    moved = _shear(image, motion.along_x(grid) / grid.spacing[0], 2)
    return _shear(moved, motion.along_y(grid) / grid.spacing[1], 1)


def _shear(image: np.ndarray, pixels: np.ndarray, axis: int) -> np.ndarray:
    shape = [1, 1, 1]
    shape[axis] = -1
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(image.shape[axis]).reshape(shape) * pixels)
    return np.fft.irfft(np.fft.rfft(image, axis=axis) * turn, n=image.shape[axis], axis=axis)
