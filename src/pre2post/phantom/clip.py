"""Biopsy marker clips: small signal voids in or next to a tumour.

Clips leave voids of a few millimetres: Genson et al., AJR 188:372 (2007). Frequency and sizes are assumptions.
"""

import numpy as np

from pre2post.phantom.grid import Grid
from pre2post.phantom.shapes import cover, ellipsoid
from pre2post.phantom.tissues import Composition
from pre2post.phantom.tumour import Tumour

FREQUENCY = 0.15  # of the patients: those scanned after the biopsy and marked


def draw_clip(rng: np.random.Generator, tumour: Tumour) -> tuple[np.ndarray, float] | None:
    """Draw the centre (x, y, z) and the radius of the void in mm, or None."""
    present, direction = rng.random() < FREQUENCY, rng.normal(0, 0.5, 3)
    radius = float(rng.uniform(1.5, 3.5))
    return (np.add(tumour.centre, tumour.radius * direction), radius) if present else None


def paint_clip(body: Composition, clip: tuple[np.ndarray, float], grid: Grid) -> None:
    centre, radius = clip
    body.paint("clip", cover(ellipsoid(grid.axes(), centre, (radius,) * 3), grid.spacing[0]))
