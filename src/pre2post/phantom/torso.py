"""The chest behind the breasts: outline, muscle, ribs, lungs, mediastinum with heart and great vessels, spine, liver.

Sizes (mm) are typical of axial breast MRI in prone position and vary per patient.
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.grid import Box, Grid
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import (
    Coordinates,
    Paths,
    Radii,
    cover,
    curve,
    ellipsoid,
    ramp,
    smooth_union,
    superellipsoid,
    tubes,
)
from pre2post.phantom.tissues import Composition


@dataclass(frozen=True)
class Torso:
    """Outline and chest wall, superellipses in every axial plane: half-widths, half-depths and centres."""

    half_width: float
    half_depth: float
    wall_half_width: float
    wall_half_depth: float
    wall_centre: float
    muscle: float
    heart: tuple[float, float, float]
    aorta: tuple[float, float]
    liver_top: float


def draw_torso(rng: np.random.Generator) -> Torso:
    half_width, half_depth = rng.uniform(148, 160), rng.uniform(86, 97)
    gap = rng.uniform(9, 16)  # skin and fat over the sternum
    wall_half_depth = half_depth - gap / 2 - rng.uniform(4, 8)
    return Torso(
        half_width=half_width,
        half_depth=half_depth,
        wall_half_width=half_width - rng.uniform(14, 24),
        wall_half_depth=wall_half_depth,
        wall_centre=gap + wall_half_depth,
        muscle=rng.uniform(7, 12),
        heart=tuple(rng.normal((6, 0, -4), (6, 3, 8))),
        aorta=tuple(rng.normal((14, 112), (4, 3))),
        liver_top=rng.uniform(-70, -25),
    )


def outline(torso: Torso, grid: Grid) -> np.ndarray:
    """Return the signed distance to the skin of the chest without breasts, slightly narrower towards the head."""
    x, y, z = grid.axes()
    return superellipsoid([x * (1 + 0.0006 * z), y - torso.half_depth], (torso.half_width, torso.half_depth), 2.3)


def wall_distance(torso: Torso, grid: Grid) -> np.ndarray:
    """Return the signed distance to the outer face of the pectoral muscle."""
    x, y, _ = grid.axes()
    flat = superellipsoid([x, y - torso.wall_centre], (torso.wall_half_width, torso.wall_half_depth), 2.3)
    return np.broadcast_to(flat, grid.shape)


def paint_torso(body: Composition, torso: Torso, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Paint all tissue from the pectoral muscle inwards; return the signed distance to the pleura."""
    x, y, _ = grid.axes()
    pixel = grid.spacing[0]
    ripple = NoiseField(rng, 14).on(grid)
    wall = wall_distance(torso, grid) + 1.2 * ripple
    lateral = ramp(np.abs(x), 8, 55)
    thickness = torso.muscle * (0.35 + 0.65 * lateral) * (1 - 0.6 * ramp(y, 60, 110))
    thickness = thickness * np.clip(1 + 0.25 * ripple, 0.4, 1.6)
    box = grid.box((-1000, 0, -1000), (1000, 1000, 1000))  # muscle and ribs are behind the skin over the sternum
    chest = grid.finer(box, 1)
    _paint_muscle(body, wall[box], thickness[box], chest, box, NoiseField(rng, 5).on(chest), ripple[box])
    _paint_ribs(body, (wall + thickness)[box], chest, box)
    pleura = wall + thickness + 10
    body.paint("lung", cover(pleura, pixel))
    inside = cover(pleura + 1, pixel)
    _paint_mediastinum(body, torso, grid, rng, ripple, inside)
    liver = ellipsoid(grid.axes(), (-58, 92, torso.liver_top - 75), (82, 80, 75)) + 0.5 * ripple
    body.paint("liver", cover(liver, pixel) * inside)
    _paint_back(body, torso, grid)
    return pleura


def _paint_muscle(
    body: Composition,
    wall: np.ndarray,
    thickness: np.ndarray,
    grid: Grid,
    box: Box,
    streaks: np.ndarray,
    broad: np.ndarray,
) -> None:
    """Paint a layer of muscle with fatty streaks, and a second one behind the arm (serratus and latissimus)."""
    x, y, _ = grid.axes()
    pixel = grid.spacing[0]
    fleshy = np.clip(0.74 + 0.22 * streaks, 0.2, 1)
    body.paint("muscle", cover(wall, pixel) * cover(-(wall + thickness), pixel) * fleshy, box)
    outer = cover(wall - 13 - 3 * broad, pixel) * cover(-(wall - 5 - 2 * broad), pixel)
    side = ramp(np.abs(x), 112, 128) * ramp(y, 40, 80)
    body.paint("muscle", outer * side * np.clip(0.55 + 0.35 * broad, 0, 1), box)


def _paint_ribs(body: Composition, depth: np.ndarray, grid: Grid, box: Box) -> None:
    """Paint ribs that slant downwards to the front, about 22 mm apart, with intercostal muscle between them."""
    x, y, z = grid.axes()
    pixel = grid.spacing[0]
    layer = cover(depth + 0.5, pixel) * cover(-(depth + 9), pixel)
    body.paint("fat", layer, box)
    rib = ramp(np.sin(2 * np.pi * (z + 0.45 * y + 0.12 * np.abs(x)) / 22), -0.1, 0.5)
    body.paint("bone", layer * rib * 0.9, box)
    body.paint("muscle", layer * (1 - rib) * 0.45, box)
    body.paint("bone", 0.9 * cover(ellipsoid((x, y + 0 * z), (0, 17), (15, 5)), pixel) + 0 * z, box)  # the sternum


def _paint_mediastinum(
    body: Composition, torso: Torso, grid: Grid, rng: np.random.Generator, ripple: np.ndarray, inside: np.ndarray
) -> None:
    """Paint mediastinal fat, blood pools, myocardium of the left ventricle and pulmonary vessels."""
    box = grid.box((-110, 0, -200), (130, 150, 200))
    ripple, inside, grid = ripple[box], inside[box], grid.finer(box, 1)
    axes = grid.axes()
    pixel = grid.spacing[0]
    hx, hy, hz = torso.heart
    grain = NoiseField(rng, 6).on(grid)

    def blob(centre: Coordinates, semi_axes: Coordinates) -> np.ndarray:
        shifted = (centre[0] + hx, centre[1] + hy, centre[2] + hz)
        return ellipsoid(axes, shifted, semi_axes) + 2.4 * ripple + 1.4 * grain

    x, y, z = axes
    strip = np.maximum(np.abs(x - 4) - 24, np.abs(y - 95) - 45) + 0 * z
    fat = smooth_union(blob((10, 64, -6), (70, 47, 66)), strip + 2 * ripple, 12)
    body.paint("fat", cover(fat, pixel) * inside, box)
    strands = np.clip(0.3 + 0.2 * ripple + 0.15 * grain, 0, 0.7)
    body.paint("connective", cover(fat, pixel) * inside * strands, box)
    muscle = np.minimum(blob((48, 64, -20), (38, 31, 46)), blob((6, 48, -14), (40, 25, 46)))
    body.paint("heart", cover(muscle, pixel) * inside, box)
    pools = [
        ((49, 64, -18), (24, 19, 34)),
        ((12, 44, -12), (27, 16, 36)),
        ((-27, 58, -6), (21, 21, 32)),
        ((6, 86, 6), (30, 15, 23)),
        ((-9, 52, 42), (15, 15, 46)),
        ((19, 46, 36), (14, 13, 34)),
        ((-33, 62, 48), (9, 9, 42)),
        ((0, 72, 34), (32, 9, 10)),
    ]
    blood = np.minimum.reduce([blob(*pool) for pool in pools])
    aorta = ellipsoid((x, y + 0 * z), torso.aorta, (11, 11))
    body.paint("blood", cover(np.minimum(blood, aorta), pixel) * inside, box)
    body.paint("blood", _pulmonary_vessels(grid, rng, torso) * inside, box)


def _pulmonary_vessels(grid: Grid, rng: np.random.Generator, torso: Torso) -> np.ndarray:
    paths: Paths = []
    radii: Radii = []
    for side in (-1, 1):
        hilum = np.array([side * 36 + torso.heart[0], 80, 8])
        for _ in range(28):
            towards = hilum + rng.uniform((-15, -45, -55), (60, 50, 55)) * (side, 1, 1)
            paths.append(curve(rng, hilum, towards, 4))
            radii.append(np.linspace(rng.uniform(2.5, 4.5), 0.8, len(paths[-1])))
    return tubes(grid, paths, radii)


def _paint_back(body: Composition, torso: Torso, grid: Grid) -> None:
    """Paint vertebral body, spinous process and paraspinal muscle."""
    x, y, z = grid.axes()
    pixel = grid.spacing[0]
    depth = 2 * torso.half_depth
    for side in (-1, 1):
        body.paint("muscle", 0.85 * cover(ellipsoid((x, y + 0 * z), (side * 30, depth - 24), (24, 15)), pixel))
    body.paint("bone", cover(ellipsoid((x, y + 0 * z), (0, depth - 44), (18, 15)), pixel))
    body.paint("connective", cover(ellipsoid((x, y + 0 * z), (0, depth - 22), (4, 14)), pixel))
