"""One patient: the tissue composition of every voxel and the uptake of contrast agent."""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.breast import Breast, breast_outline, breast_vessels, draw_breasts, paint_breast
from pre2post.phantom.grid import Grid
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, smooth_union, tubes
from pre2post.phantom.tissues import Composition
from pre2post.phantom.torso import draw_torso, outline, paint_torso, wall_distance
from pre2post.phantom.tumour import Tumour, draw_tumours, feeding_vessels, paint_tumour

SKIN = 1.5  # mm; Huang et al., Med Phys 35:1199 (2008): 1.45 mm, thicker near the areola
FILLET = 16.0  # width in mm of the transition from breast to chest


@dataclass(frozen=True)
class Patient:
    """The ground truth of one patient; all arrays are (z, y, x) on `grid`.

    `body`: tissue shares. `skin`, `pleura`: signed distances in mm, negative inside. `tumour`: bool, the mass with its
    core. `tumour_transfer`, `gland_transfer`: K^trans in 1/min. `tumour_volumes`: (v_e, v_p).
    """

    grid: Grid
    body: Composition
    skin: np.ndarray
    pleura: np.ndarray
    tumour: np.ndarray
    tumour_transfer: np.ndarray
    gland_transfer: np.ndarray
    tumour_volumes: tuple[float, float]

    def labels(self) -> np.ndarray:
        """Return the uint8 tissue labels of `phantom.tissues`, 0 for air."""
        return self.body.labels()


def make_patient(seed: int, number: int, grid: Grid) -> Patient:
    """Return patient `number` of the cohort `seed`, sampled on `grid`; every grid shows the same anatomy."""
    streams = [np.random.default_rng([seed, number, stream]) for stream in range(8)]
    torso, breasts = draw_torso(streams[0]), draw_breasts(streams[1])
    tumours = draw_tumours(streams[2], breasts)
    pixel = grid.spacing[0]

    skin = outline(torso, grid)
    for breast in breasts:
        skin = smooth_union(skin, breast_outline(breast, grid), FILLET)
    skin = skin + 1.5 * NoiseField(streams[3], 30).on(grid)
    wall = wall_distance(torso, grid)

    body = Composition(grid.shape)
    body.paint("fat", cover(skin, pixel))
    for breast in breasts:
        paint_breast(body, breast, grid, streams[4], skin, wall)
    pleura = paint_torso(body, torso, grid, streams[5])
    _paint_axillae(body, grid, streams[6], skin, wall)
    _paint_vessels(body, grid, streams[6], breasts, tumours, skin)

    uptake, extent = np.zeros(grid.shape), np.zeros(grid.shape)
    interior = cover(skin + SKIN + 2, 3) * cover(2 - wall, 3)
    for tumour in tumours:
        paint_tumour(body, tumour, grid, streams[7], interior, uptake, extent)
    body.paint("skin", cover(skin, pixel) - cover(skin + SKIN, pixel))
    mask = (extent > 0) & (extent >= min(0.5, 0.999 * extent.max()))  # at least one voxel, also on a coarse grid
    volumes = (tumours[0].extravascular, tumours[0].plasma)
    return Patient(grid, body, skin, pleura, mask, uptake, _background(streams[7], grid, skin), volumes)


def _background(rng: np.random.Generator, grid: Grid, skin: np.ndarray) -> np.ndarray:
    """Draw K^trans of the gland: one level per patient, patchy over centimetres, higher near the skin.

    Background enhancement ranges from minimal to marked (BI-RADS) and fills the gland from its edge inwards: King et
    al., Radiology 260:50 (2011); Giess et al., Radiographics 34:234 (2014).
    """
    level = float(np.clip(0.008 * np.exp(rng.normal(0, 0.7)), 0.002, 0.05))
    return level * np.exp(0.45 * NoiseField(rng, 14).on(grid)) * (1 + 0.8 * np.exp(np.minimum(skin + 8, 0) / 9))


def _paint_axillae(body: Composition, grid: Grid, rng: np.random.Generator, skin: np.ndarray, wall: np.ndarray) -> None:
    """Paint up to two lymph nodes per side, in the fat lateral to the muscle."""
    interior = cover(skin + 5, 4) * cover(1 - wall, 3)
    for side in (-1, 1):
        for _ in range(int(rng.integers(0, 3))):
            centre = (side * rng.uniform(118, 134), rng.uniform(35, 70), rng.uniform(-10, 60))
            axes = rng.uniform((3, 3, 4), (5, 6, 8))
            node = np.maximum(ellipsoid(grid.axes(), centre, axes), -ellipsoid(grid.axes(), centre, axes * 0.4))
            body.paint("node", cover(node, grid.spacing[0]) * interior)


def _paint_vessels(
    body: Composition,
    grid: Grid,
    rng: np.random.Generator,
    breasts: list[Breast],
    tumours: list[Tumour],
    skin: np.ndarray,
) -> None:
    """Paint the veins of the breasts, the vessels to the tumours, internal mammary and lateral thoracic vessels."""
    paths: Paths = []
    radii: Radii = []
    drawn = [breast_vessels(breast, rng) for breast in breasts]
    drawn += [feeding_vessels(t, min(breasts, key=lambda b: abs(b.centre[0] - t.centre[0])), rng) for t in tumours]
    for more_paths, more_radii in drawn:
        paths, radii = paths + more_paths, radii + more_radii
    upright = [
        (side * away, depth, r)
        for side in (-1, 1)
        for away, depth, r in ((16, 23, 1.5), (22, 23, 1.2), (126, 48, 1.6), (131, 58, 1.3))
    ]
    for x, y, r in upright:
        shift = rng.normal(0, 3, 2) if abs(x) > 100 else rng.normal(0, 1.2, 2)
        start, end = (x + shift[0], y + shift[1], -75), (x - shift[0], y - shift[1] / 2, 75)
        paths.append(curve(rng, start, end, 1.5))
        radii.append(np.full(len(paths[-1]), r))
    body.paint("blood", tubes(grid, paths, radii) * cover(skin + SKIN + 0.5, 1.5))
