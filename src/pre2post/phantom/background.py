"""Background enhancement of the normal gland: its level, its texture, and focal or regional spots.

Levels range from minimal to marked: below 25, 50, 75 and above 75 % in BI-RADS (Morris et al., ACR BI-RADS MRI, 2013).
The gland enhances from its edge inwards: King et al., Radiology 260:50 (2011); Giess et al., Radiographics 34:234
(2014), who also show its nodular and asymmetric regional forms. Foci are smaller than 5 mm (BI-RADS).
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.breast import Breast
from pre2post.phantom.grid import Grid
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import ellipsoid

LEVEL = (0.009, 0.9)  # K^trans in 1/min: median and spread of its logarithm; a tenth of the patients is marked
LEVELS = (0.002, 0.06)  # lowest and highest
FOCUS = (1.4, 2.5)  # radius in mm
REGION = (6.0, 14.0)  # radius in mm


@dataclass(frozen=True)
class Spot:
    """A spot of the gland that enhances more: `transfer` is its additional K^trans in 1/min."""

    centre: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    transfer: float


def draw_level(rng: np.random.Generator) -> float:
    """Draw the K^trans of the gland of one patient, 1/min."""
    return float(np.clip(LEVEL[0] * np.exp(rng.normal(0, LEVEL[1])), *LEVELS))


def draw_spots(rng: np.random.Generator, breasts: list[Breast], level: float) -> list[Spot]:
    """Draw foci in all patients and regions in a third; both are more frequent with more background enhancement."""
    foci = int(rng.poisson(3 + 150 * level))
    regions = int(rng.integers(1, 4)) if rng.random() < 0.25 + 4 * level else 0
    spots = [_spot(rng, breasts, FOCUS, 0.03 + 3 * level) for _ in range(foci)]
    return spots + [_spot(rng, breasts, REGION, 0.01 + 1.5 * level) for _ in range(regions)]


def _spot(rng: np.random.Generator, breasts: list[Breast], sizes: tuple[float, float], transfer: float) -> Spot:
    breast = breasts[int(rng.integers(2))]
    centre = breast.gland_centre + rng.uniform(-0.8, 0.8, 3) * breast.gland_axes
    axes = rng.uniform(*sizes) * rng.uniform(0.7, 1.3, 3)
    return Spot(tuple(centre), tuple(axes), transfer * float(rng.uniform(0.5, 1.8)))


def background(rng: np.random.Generator, grid: Grid, skin: np.ndarray, level: float, spots: list[Spot]) -> np.ndarray:
    """Return K^trans of the gland (z, y, x) in 1/min; `skin` is the signed distance to the skin in mm."""
    broad, fine = NoiseField(rng, 14).on(grid), NoiseField(rng, 4).on(grid)
    texture = np.exp(0.45 * broad + rng.uniform(0.1, 0.6) * fine)
    field = level * texture * (1 + 0.8 * np.exp(np.minimum(skin + 8, 0) / 9))
    for spot in spots:
        reach = 2.0 * np.array(spot.semi_axes) + 1
        box = grid.box(np.subtract(spot.centre, reach), np.add(spot.centre, reach))
        distance = ellipsoid(grid.finer(box, 1).axes(), spot.centre, spot.semi_axes)
        field[box] += spot.transfer / (1 + np.exp(np.clip(distance / (0.25 * min(spot.semi_axes)), -30, 30)))
    return field
