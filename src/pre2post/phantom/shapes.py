"""Geometric primitives of the anatomy: signed distances, voxel coverage and thin tubes. All lengths in mm."""

from collections.abc import Sequence

import numpy as np

from pre2post.phantom.grid import Coordinates, Grid

Paths = list[np.ndarray]  # (n, 3) points x, y, z of each tube
Radii = list[np.ndarray]  # (n,) of each tube


def superellipsoid(offsets: Sequence[np.ndarray], semi_axes: Coordinates, power: float) -> np.ndarray:
    """Return the signed distance (negative inside, first order) to |x/a|^p + |y/b|^p + |z/c|^p = 1.

    `offsets` are broadcastable coordinates from the centre, as many as `semi_axes`.
    F is homogeneous of degree 1, so (F - 1) / |grad F| is the distance to first order near the surface.
    """
    if power == 2:
        return _quadric(offsets, semi_axes)
    ratios = [np.abs(o) / a for o, a in zip(offsets, semi_axes, strict=True)]
    total = np.maximum(sum(r**power for r in ratios), 1e-12)
    level = total ** (1 / power)
    slope = sum((r ** (power - 1) / a) ** 2 for r, a in zip(ratios, semi_axes, strict=True))
    return (level - 1) / np.maximum(np.sqrt(slope) * level / total, 0.3 / max(semi_axes))


def _quadric(offsets: Sequence[np.ndarray], semi_axes: Coordinates) -> np.ndarray:
    """Return the distance of `superellipsoid` for the power 2, without powers, which are slow."""
    squares = [(o / a) ** 2 for o, a in zip(offsets, semi_axes, strict=True)]
    level = np.sqrt(np.maximum(sum(squares), 1e-12))
    slope = np.sqrt(sum(s / a**2 for s, a in zip(squares, semi_axes, strict=True)))
    return (level - 1) / np.maximum(slope / level, 0.3 / max(semi_axes))


def ellipsoid(axes: Sequence[np.ndarray], centre: Coordinates, semi_axes: Coordinates) -> np.ndarray:
    """Return the signed distance to an ellipsoid at `centre`, on the axes of a grid."""
    return superellipsoid([a - c for a, c in zip(axes, centre, strict=True)], semi_axes, 2.0)


def smooth_union(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Return the union of two signed distances with a fillet of about `width` (polynomial smooth minimum)."""
    blend = np.maximum(width - np.abs(a - b), 0) / width
    return np.minimum(a, b) - blend**2 * width / 4


def cover(distance: np.ndarray, width: float) -> np.ndarray:
    """Return the share (0 to 1) of a voxel of size `width` inside a surface at signed `distance`, linear."""
    return np.clip(0.5 - distance / width, 0, 1)


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def curve(
    rng: np.random.Generator, start: Coordinates, end: Coordinates, wiggle: float, step: float = 1.0
) -> np.ndarray:
    """Draw (n, 3) points from `start` to `end`, about `step` apart, deviating by about `wiggle` mm."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    t = np.linspace(0, 1, max(int(np.sqrt(((end - start) ** 2).sum()) / step), 2))[:, None]
    swings = sum(np.sin(np.pi * k * t) * rng.normal(0, wiggle / k, 3) for k in (1, 2, 3, 5))
    return start + (end - start) * t + swings


# A ball is sampled by seven points: its centre and six on the axes.
BALL = np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])


def tubes(grid: Grid, paths: Paths, radii: Radii) -> np.ndarray:
    """Return the share of each voxel, at most 1, filled by tubes along `paths` with `radii`.

    Each piece of tube distributes its volume to the eight nearest voxels, so that a tube thinner than a voxel keeps
    its true partial volume in any direction.
    """
    points, volumes = [], []
    for path, radius in zip(paths, radii, strict=True):
        steps = np.sqrt((np.diff(path, axis=0) ** 2).sum(1))
        length = np.append(steps, steps[-1])
        points.append((path[:, None, :] + 0.6 * radius[:, None, None] * BALL).reshape(-1, 3))
        volumes.append(np.repeat(np.pi * radius**2 * length / len(BALL), len(BALL)))
    if not points:
        return np.zeros(grid.shape)
    filled = _splat(grid, np.concatenate(points), np.concatenate(volumes))
    return np.minimum(filled / grid.voxel_volume, 1)


def _splat(grid: Grid, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Add `weights` at `points` to an empty grid, distributed linearly to the eight voxels around each point."""
    place = (points - np.asarray(grid.origin)) / np.asarray(grid.spacing)
    node = np.floor(place).astype(int)
    rest = place - node
    near = [(node[:, axis], node[:, axis] + 1) for axis in range(3)]
    share = [(1 - rest[:, axis], rest[:, axis]) for axis in range(3)]
    within = [[(n >= 0) & (n < size) for n in pair] for pair, size in zip(near, reversed(grid.shape), strict=True)]
    places, shares = [], []
    for i, j, k in np.ndindex(2, 2, 2):
        inside = within[0][i] & within[1][j] & within[2][k]
        places.append(((near[2][k] * grid.shape[1] + near[1][j]) * grid.shape[2] + near[0][i])[inside])
        shares.append((weights * (share[0][i] * share[1][j] * share[2][k]))[inside])
    total = np.bincount(np.concatenate(places), weights=np.concatenate(shares), minlength=int(np.prod(grid.shape)))
    return total.reshape(grid.shape)
