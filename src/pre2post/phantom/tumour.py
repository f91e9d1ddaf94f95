"""Tumours: irregular masses of 5 to 40 mm in or at the gland, some spiculated, some with a non-enhancing core."""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.breast import Breast
from pre2post.phantom.grid import Grid, block_mean
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, tubes
from pre2post.phantom.tissues import Composition

DIAMETERS = (5.0, 40.0)  # mm, smallest and largest
MEDIAN_DIAMETER = 20.0  # mm; most cancers of the Duke cohort are T1 or T2: Saha et al., Br J Cancer 119:508 (2018)
LOBES_ADD = 0.08  # of the radius: compensates the growth of the mean diameter by lobulation
FINER = 2  # subsampling along each axis, for partial volume


@dataclass(frozen=True)
class Tumour:
    """`radius` mm before lobulation; `semi_axes` as shares of it; kinetics: K^trans 1/min, v_e, v_p."""

    centre: tuple[float, float, float]
    radius: float
    semi_axes: tuple[float, float, float]
    spicules: int
    core: float  # share of the radius without contrast uptake; 0: no core
    compact: float  # share of tumour tissue in the mass; the rest is the tissue before
    transfer: float
    extravascular: float
    plasma: float


def draw_tumours(rng: np.random.Generator, breasts: list[Breast]) -> list[Tumour]:
    """Draw one tumour, and in a fifth of the patients a second, smaller one in the same breast."""
    breast = breasts[int(rng.integers(2))]
    first = _draw(rng, breast, 1.0)
    return [first, _draw(rng, breast, 0.6)] if rng.random() < 0.2 else [first]


def _draw(rng: np.random.Generator, breast: Breast, size: float) -> Tumour:
    diameter = np.clip(size * MEDIAN_DIAMETER * np.exp(rng.normal(0, 0.50)), *DIAMETERS)
    direction = rng.normal(0, 1, 3) * (1, 1, 0.8)
    place = rng.uniform(0.35, 0.95) * direction / np.sqrt((direction**2).sum())
    centre = breast.gland_centre + place * breast.gland_axes * np.minimum(1, 26 / breast.gland_axes)
    radius = diameter / 2
    semi_axes = rng.uniform(0.75, 1.3, 3)
    return Tumour(
        tuple(centre),
        radius,
        tuple(semi_axes / semi_axes.prod() ** (1 / 3)),
        spicules=int(rng.integers(10, 22)) if rng.random() < 0.45 else 0,
        core=rng.uniform(0.35, 0.55) if radius > 9 and rng.random() < 0.4 else 0.0,
        compact=rng.uniform(0.88, 1.0),
        transfer=float(np.clip(0.28 * np.exp(rng.normal(0, 0.5)), 0.09, 0.9)),
        extravascular=rng.uniform(0.28, 0.58),
        plasma=rng.uniform(0.03, 0.08),
    )


def paint_tumour(
    body: Composition,
    tumour: Tumour,
    grid: Grid,
    rng: np.random.Generator,
    interior: np.ndarray,
    uptake: np.ndarray,
    extent: np.ndarray,
) -> None:
    """Paint one tumour within `interior` (0 to 1); write its K^trans into `uptake` and its share into `extent`."""
    lobes, bumps, patches = (NoiseField(rng, s) for s in (0.7 * tumour.radius, 3.0, 4.0))
    reach = 2.0 * tumour.radius + 4
    box = grid.box(np.subtract(tumour.centre, reach), np.add(tumour.centre, reach))
    fine = grid.finer(box, FINER)
    clefts = bumps.on(fine)
    relief = 0.22 * tumour.radius * lobes.on(fine) + min(0.2 * tumour.radius, 2.0) * clefts + LOBES_ADD * tumour.radius
    distance = ellipsoid(fine.axes(), tumour.centre, np.multiply(tumour.semi_axes, tumour.radius)) + relief
    mass = block_mean(cover(distance, fine.spacing[0]), FINER) * interior[box]
    texture = np.exp(0.40 * block_mean(patches.on(fine), FINER))
    dense = tumour.compact * np.clip(1.02 - 0.16 * block_mean(clefts, FINER), 0.6, 1)
    rim = block_mean(0.75 + 0.5 * np.exp(-np.maximum(-distance, 0) / 4), FINER)
    spicules = tubes(grid, *_spicules(tumour, rng))[box] * interior[box]
    total = np.maximum(mass, spicules)
    uptake[box] = np.where(total > extent[box], tumour.transfer * texture * rim, uptake[box])
    body.paint("tumour", total * dense, box)
    if tumour.core:
        hollow = distance + (1 - tumour.core) * tumour.radius
        body.paint("core", block_mean(cover(hollow, fine.spacing[0]), FINER) * interior[box], box)
    extent[box] = np.maximum(extent[box], mass)


def _spicules(tumour: Tumour, rng: np.random.Generator) -> tuple[Paths, Radii]:
    """Draw strands that radiate from the mass and thin outwards."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(tumour.spicules):
        direction = rng.normal(0, 1, 3)
        direction = direction / np.sqrt((direction**2).sum())
        start = np.add(tumour.centre, 0.7 * tumour.radius * direction)
        end = np.add(tumour.centre, (1.2 * tumour.radius + rng.uniform(2, 9)) * direction)
        paths.append(curve(rng, start, end, 1.5))
        radii.append(np.linspace(min(1.3, 0.2 * tumour.radius), 0.4, len(paths[-1])))
    return paths, radii


def feeding_vessels(tumour: Tumour, breast: Breast, rng: np.random.Generator) -> tuple[Paths, Radii]:
    """Draw vessels from the base of the breast to a tumour larger than 12 mm."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(int(rng.integers(1, 3)) if tumour.radius > 6 else 0):
        place = (rng.uniform(-0.8, 0.8), -0.15, rng.uniform(-0.6, 0.6))
        start = np.add(breast.centre, np.multiply(breast.semi_axes, place))
        direction = (start - tumour.centre) / np.sqrt(((start - tumour.centre) ** 2).sum())
        paths.append(curve(rng, start, np.add(tumour.centre, 0.9 * tumour.radius * direction), 5))
        radii.append(np.linspace(1.4, 0.8, len(paths[-1])))
    return paths, radii
