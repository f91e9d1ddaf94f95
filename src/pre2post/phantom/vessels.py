"""Vessels of the breasts and the chest wall, and the lymph nodes of the armpits."""

import numpy as np

from pre2post.phantom.breast import Breast, breast_vessels
from pre2post.phantom.grid import Grid
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, tubes
from pre2post.phantom.tissues import Composition
from pre2post.phantom.tumour import Tumour


def paint_axillae(body: Composition, grid: Grid, rng: np.random.Generator, skin: np.ndarray, wall: np.ndarray) -> None:
    """Paint up to two lymph nodes per side, in the fat lateral to the muscle."""
    interior = cover(skin + 5, 4) * cover(1 - wall, 3)
    for side in (-1, 1):
        for _ in range(int(rng.integers(0, 3))):
            centre = (side * rng.uniform(118, 134), rng.uniform(35, 70), rng.uniform(-10, 60))
            axes = rng.uniform((3, 3, 4), (5, 6, 8))
            box = grid.box(np.subtract(centre, axes + 3), np.add(centre, axes + 3))
            near = grid.finer(box, 1).axes()
            node = np.maximum(ellipsoid(near, centre, axes), -ellipsoid(near, centre, axes * 0.4))
            body.paint("node", cover(node, grid.spacing[0]) * interior[box], box)


def paint_vessels(
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
    drawn += [_feeding_vessels(t, min(breasts, key=lambda b: abs(b.centre[0] - t.centre[0])), rng) for t in tumours]
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
    body.paint("blood", tubes(grid, paths, radii) * cover(skin + 2, 1.5))


def _feeding_vessels(tumour: Tumour, breast: Breast, rng: np.random.Generator) -> tuple[Paths, Radii]:
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
