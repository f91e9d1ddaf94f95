"""Paint the tissue of a tumour: lobulated or clumped, with spicules, core, uneven uptake and an enhancing rim."""

import numpy as np

from pre2post.phantom.grid import Grid, block_mean
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, superellipsoid, tubes
from pre2post.phantom.tissues import Composition
from pre2post.phantom.tumour import Tumour

LOBES_ADD = 0.08  # of the radius: compensates the growth of the mean diameter by lobulation
CLUMP = 3.5  # mm, scale of the clumps of a non-mass cancer
GAP = 2.0  # mm around the clumps that the annotation includes
FINER = 2  # subsampling along each axis, for partial volume


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
    if tumour.axis is None:
        distance = ellipsoid(fine.axes(), tumour.centre, np.multiply(tumour.semi_axes, tumour.radius)) + relief
        contour = distance
    else:
        clumps = -CLUMP * (NoiseField(rng, CLUMP).on(fine) + 0.3)
        envelope = _segment(tumour, fine) + relief
        distance, contour = np.maximum(envelope, clumps), np.maximum(envelope, clumps - GAP)
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
    contoured = mass if contour is distance else block_mean(cover(contour, fine.spacing[0]), FINER) * interior[box]
    extent[box] = np.maximum(extent[box], contoured)


def _segment(tumour: Tumour, grid: Grid) -> np.ndarray:
    """Return the signed distance to an ellipsoid of revolution along the axis of a non-mass cancer."""
    offsets = [a - c for a, c in zip(grid.axes(), tumour.centre, strict=True)]
    x, y, z = (o * a for o, a in zip(offsets, tumour.axis or (0.0, 1.0, 0.0), strict=True))
    along = x + y + z
    across = np.sqrt(np.maximum(sum(o**2 for o in offsets) - along**2, 0))
    return superellipsoid([along, across], np.multiply(tumour.semi_axes[:2], tumour.radius), 2.0)


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
