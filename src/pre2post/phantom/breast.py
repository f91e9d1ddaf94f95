"""One pendent breast on the chest wall: outline, nipple, glandular tree, ligaments, ducts, veins. Lengths in mm."""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.grid import Grid, block_mean
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, ramp, superellipsoid, tubes
from pre2post.phantom.tissues import Composition

BASE = 14.0  # y of the base plane of the breast, just behind the skin of the chest
POWER = 2.5  # exponent of the superellipsoid: a pendent breast has steeper sides than an ellipsoid
BROAD_STREAKS, FINE_STREAKS = 0.34, 0.30  # standard deviation of the two radial textures of the gland
RARE = 2.2  # standard deviations of a texture; gland that needs more is too rare to be computed
FINER = 2  # subsampling of the gland, averaged for true partial volume


@dataclass(frozen=True)
class Breast:
    """`centre` (x, BASE, z); `semi_axes` half-width, projection from BASE, half-height; `density` 0 fatty, 1 dense."""

    centre: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    density: float

    @property
    def nipple(self) -> np.ndarray:
        return np.array([self.centre[0], self.centre[1] - self.semi_axes[1], self.centre[2]])

    @property
    def gland_centre(self) -> np.ndarray:
        """Return the centre of the gland, slightly lateral of the nipple, where most glandular tissue is."""
        side = np.sign(self.centre[0])
        return np.array([self.centre[0] + 3 * side, self.centre[1] - 0.45 * self.semi_axes[1], self.centre[2] + 3])

    @property
    def gland_axes(self) -> np.ndarray:
        across, along = 0.42 + 0.24 * self.density, 0.30 + 0.12 * self.density
        return np.array(self.semi_axes) * (across, along, across)


def draw_breasts(rng: np.random.Generator) -> list[Breast]:
    """Draw the similar right and left breast of one patient. Density covers all four BI-RADS classes."""
    half_width, projection = rng.uniform(49, 60), rng.uniform(58, 90)
    apart, density = rng.uniform(69, 78), rng.beta(1.6, 1.8)
    breasts = []
    for side in (-1, 1):
        centre = (side * (apart + rng.normal(0, 3)), BASE, rng.normal(0, 5))
        like = rng.normal(1, (0.04, 0.06, 0.04))
        axes = (half_width * like[0], (projection + BASE) * like[1], half_width * 1.32 * like[2])
        breasts.append(Breast(centre, axes, float(np.clip(density + rng.normal(0, 0.06), 0.02, 1))))
    return breasts


def breast_outline(breast: Breast, grid: Grid) -> np.ndarray:
    """Return the signed distance to the skin of the breast."""
    offsets = [a - c for a, c in zip(grid.axes(), breast.centre, strict=True)]
    return superellipsoid(offsets, breast.semi_axes, POWER)


def surface_point(breast: Breast, polar: np.ndarray, azimuth: np.ndarray, depth: float) -> np.ndarray:
    """Return (n, 3) points `depth` below the skin; `polar` is the angle from the nipple, in radians."""
    direction = np.stack([np.sin(polar) * np.cos(azimuth), -np.cos(polar), np.sin(polar) * np.sin(azimuth)], axis=-1)
    level = (np.abs(direction / np.asarray(breast.semi_axes)) ** POWER).sum(-1) ** (1 / POWER)
    return np.asarray(breast.centre) + direction * (1 / level - depth)[:, None]


def paint_breast(
    body: Composition, breast: Breast, grid: Grid, rng: np.random.Generator, skin: np.ndarray, wall: np.ndarray
) -> None:
    """Paint the tissue between skin and chest wall; `skin` and `wall` are signed distances to them, (z, y, x)."""
    low = np.asarray(breast.centre) - np.asarray(breast.semi_axes)
    high = np.asarray(breast.centre) + np.asarray(breast.semi_axes) * (1, 0.35, 1)
    box = grid.box(low, high)
    if min(s.stop - s.start for s in box) < 1:
        return
    interior = cover(skin[box] + 5, 5) * cover(2 - wall[box], 4)
    body.paint("connective", interior * np.clip(0.05 + 0.06 * NoiseField(rng, 5).on(grid)[box], 0, 0.3), box)
    body.paint("connective", tubes(grid, *_ligaments(breast, rng))[box] * interior, box)
    needed = np.kron(interior > 0, np.ones((FINER,) * 3, bool))
    gland = block_mean(gland_share(breast, grid.finer(box, FINER), rng, needed), FINER)
    body.paint("gland", gland * interior * cover(skin[box] + 8, 7), box)
    body.paint("gland", tubes(grid, *_ducts(breast, rng))[box] * cover(skin[box] + 2, 3), box)
    tip = breast.nipple + np.array([0, 1, 0])
    box = grid.box(tip - 10, tip + 10)
    nipple = ellipsoid(grid.finer(box, 1).axes(), tip, (5, 5, 5))
    body.paint("nipple", cover(nipple, grid.spacing[0]), box)


def gland_share(breast: Breast, grid: Grid, rng: np.random.Generator, needed: np.ndarray) -> np.ndarray:
    """Return the share of glandular tissue, 0 to 1: lobes towards the nipple, interrupted by islands of fat.

    It is 0 outside `needed`, bool (z, y, x).

    The texture is defined in directions seen from the nipple, so that strands converge there like the ducts.
    """
    radial = [NoiseField(rng, 1.0) for _ in range(2)]
    islands, broad = NoiseField(rng, 4.5), NoiseField(rng, 15)
    offsets = [a - c for a, c in zip(grid.axes(), breast.gland_centre, strict=True)]
    level = np.sqrt(sum((o / s) ** 2 for o, s in zip(offsets, breast.gland_axes, strict=True)))
    share = np.zeros(grid.shape)
    base = 0.80 - level + 0.26 * islands.on(grid) + 0.30 * broad.on(grid)
    near = (level < 1.75) & (base > -RARE * np.hypot(BROAD_STREAKS, FINE_STREAKS)) & needed
    x, y, z = (np.broadcast_to(a, grid.shape)[near] for a in grid.axes())
    u, v, w = x - breast.nipple[0], y - breast.nipple[1] + 12, z - breast.nipple[2]
    seen = np.stack([np.arctan2(u, v), np.arctan2(w, v), np.sqrt(u * u + v * v + w * w)])
    streaks = BROAD_STREAKS * radial[0].at(*(seen / np.array([[0.22], [0.22], [26]])))
    likely = base[near] + streaks > -RARE * FINE_STREAKS
    near[near] = likely
    seen, streaks = seen[:, likely], streaks[likely]
    streaks += FINE_STREAKS * radial[1].at(*(seen / np.array([[0.10], [0.10], [16]])))
    cellular = np.clip(0.76 + 0.10 * breast.density + 0.24 * streaks, 0.45, 1)  # fat fills the rest of a lobe
    share[near] = ramp(base[near] + streaks, -0.08, 0.20) * cellular
    return share


def _ligaments(breast: Breast, rng: np.random.Generator) -> tuple[Paths, Radii]:
    """Draw Cooper's ligaments: thin strands from the gland to the skin."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(int(rng.integers(26, 40))):
        direction = rng.normal(0, 1, 3)
        start = breast.gland_centre + breast.gland_axes * 0.8 * direction / np.sqrt((direction**2).sum())
        end = surface_point(breast, rng.uniform(0.1, 1.5, 1), rng.uniform(0, 2 * np.pi, 1), 1.0)[0]
        paths.append(curve(rng, start, end, 3))
        radii.append(np.full(len(paths[-1]), rng.uniform(0.6, 1.1)))
    return paths, radii


def _ducts(breast: Breast, rng: np.random.Generator) -> tuple[Paths, Radii]:
    """Draw a few ducts from the nipple into the gland."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(int(rng.integers(4, 8))):
        end = breast.gland_centre + breast.gland_axes * rng.uniform(-0.6, 0.6, 3)
        paths.append(curve(rng, breast.nipple + np.array([0, 2, 0]), end, 2))
        radii.append(np.linspace(1.4, rng.uniform(0.7, 1.3), len(paths[-1])))
    return paths, radii


def breast_vessels(breast: Breast, rng: np.random.Generator) -> tuple[Paths, Radii]:
    """Draw the paths and radii of veins under the skin and of vessels through the fat to the gland."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(int(rng.integers(7, 12))):
        steps = np.linspace(0, 1, 80)
        polar = 1.55 - steps * rng.uniform(0.7, 1.3) + 0.08 * np.sin(7 * steps + rng.uniform(0, 6))
        azimuth = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.7) * steps + 0.15 * np.sin(9 * steps + rng.uniform(0, 6))
        paths.append(surface_point(breast, polar, azimuth, rng.uniform(3.5, 9)))
        radii.append(np.linspace(rng.uniform(1.2, 2.2), 0.8, len(steps)))
    for _ in range(int(rng.integers(4, 8))):
        start = surface_point(breast, rng.uniform(1.0, 1.55, 1), rng.uniform(0, 2 * np.pi, 1), 6.0)[0]
        end = breast.gland_centre + breast.gland_axes * rng.uniform(-0.9, 0.9, 3)
        paths.append(curve(rng, start, end, 5))
        radii.append(np.linspace(rng.uniform(1.0, 1.6), 0.7, len(paths[-1])))
    return paths, radii
