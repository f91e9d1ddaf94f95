"""Mask of the breasts from a pre-contrast volume in LPS: rows run from front to back, columns from right to left.

The chest wall is the outer face of the pectoral muscle, where dark fat turns into brighter muscle. It is found as
the smoothest strong edge along the normals of an arc, which is scaled by the width of the body.
"""

from dataclasses import dataclass

import numpy as np

from pre2post.image.body_mask import body_mask, smoothed
from pre2post.image.volume import Vector

BACK_OF_BREAST = 30.0  # mm behind the skin over the sternum: further back are the armpit and the flank
MIDLINE = 25.0  # mm to either side, in which the skin over the sternum is found
# The initial chest wall, a superellipse about the midline; fractions of the half-width of the body.
WALL_HALF_WIDTH, WALL_HALF_DEPTH, WALL_POWER = 0.87, 0.52, 2.3
WALL_GAP = 12.0  # mm from the skin over the sternum to the wall
REACH = 14.0  # mm by which the wall may be in front of or behind the initial wall
EDGE_DEPTH = 4.0  # mm on either side of an edge, whose means are compared: thinner than the muscle
SKIN_DEPTH = 5.0  # mm behind the skin, without a wall: the skin itself is a strong edge
STRAY = 0.004  # cost per mm² of distance from the initial wall, in units of relative contrast
BEND = 0.05  # cost of a step of 1 mm along the normal per mm along the arc
ALONG_BODY = 6.0  # mm, smoothing across slices: the wall continues along the body, noise does not


@dataclass(frozen=True)
class _Arc:
    """Points (n,) along the initial wall, 1 mm apart, in mm from midline and sternum, and normals towards the back."""

    x: np.ndarray
    y: np.ndarray
    normal_x: np.ndarray
    normal_y: np.ndarray


def breast_mask(pre_array: np.ndarray, spacing: Vector) -> np.ndarray:
    """Return the tissue in front of the chest wall (z, y, x), bool: both breasts with skin, fat and gland.

    `pre_array` is the pre-contrast volume (z, y, x) in scanner units (air at 0), `spacing` its (x, y, z) in mm. At the
    sides the mask ends 30 mm behind the skin over the sternum. The mask of a volume without a body is empty.
    """
    body = body_mask(pre_array, spacing)
    if not body.any() or min(body.shape[1:]) < 4:
        return np.zeros(body.shape, bool)
    middle, half_width = _midline(body)
    sternum = _sternum(body, middle, spacing)
    arc = _start(half_width * spacing[0])
    wall = _find_wall(pre_array, body, arc, middle, sternum, spacing)
    rows = np.arange(body.shape[1])[None, :, None]
    back = np.minimum(wall, (sternum + BACK_OF_BREAST / spacing[1])[:, None])
    return body & (rows < back[:, None, :])


def _midline(body: np.ndarray) -> tuple[float, float]:
    """Return the middle column of the body and its half-width in columns, from the rows where it is widest."""
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    widths = np.sort(body.any(axis=0).sum(axis=1))
    return (columns[0] + columns[-1]) / 2, float(widths[int(0.9 * (len(widths) - 1))]) / 2


def _sternum(body: np.ndarray, middle: float, spacing: Vector) -> np.ndarray:
    """Return the row (z,) of the skin in the valley between the breasts, smoothed along the body."""
    from scipy.ndimage import gaussian_filter1d, median_filter

    near = max(1, round(MIDLINE / spacing[0]))
    low, high = max(0, int(middle) - near), int(middle) + near + 1
    strip = body[:, :, low:high]
    first = np.where(strip.any(axis=1), strip.argmax(axis=1), -1).astype(np.float64)
    deepest = np.where(first.max(axis=1) >= 0, first.max(axis=1), np.nan)
    usual = np.nanmedian(deepest) if np.isfinite(deepest).any() else body.shape[1] / 2
    filled = median_filter(np.where(np.isfinite(deepest), deepest, usual), 5, mode="nearest")
    return gaussian_filter1d(filled, ALONG_BODY / spacing[2], mode="nearest")


def _start(half_width: float) -> _Arc:
    """Return the initial wall of a body of this half-width in mm, from side to side."""
    a, b, power = WALL_HALF_WIDTH * half_width, WALL_HALF_DEPTH * half_width, WALL_POWER
    fine = np.linspace(-0.97, 0.97, 4001)
    x, y = fine * a, WALL_GAP + b * (1 - (1 - np.abs(fine) ** power) ** (1 / power))
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    places = np.arange(0, length[-1], 1.0)
    x, y = np.interp(places, length, x), np.interp(places, length, y)
    along_x, along_y = np.gradient(x), np.gradient(y)
    size = np.hypot(along_x, along_y)
    return _Arc(x, y, -along_y / size, along_x / size)


def _find_wall(
    array: np.ndarray, body: np.ndarray, arc: _Arc, middle: float, sternum: np.ndarray, spacing: Vector
) -> np.ndarray:
    """Return the row (z, x) of the chest wall in every column; infinite outside the arc."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    image = smoothed(array, 0.7, ALONG_BODY / spacing[2])
    offsets = np.arange(-REACH - EDGE_DEPTH, REACH + EDGE_DEPTH + 0.5)
    columns = middle + (arc.x[:, None] + offsets * arc.normal_x[:, None]) / spacing[0]
    walls = np.empty((len(array), array.shape[2]))
    for z, row in enumerate(sternum):
        rows = row + (arc.y[:, None] + offsets * arc.normal_y[:, None]) / spacing[1]
        band = map_coordinates(image[z], (rows, columns), order=1, mode="nearest")
        depth = distance_transform_edt(body[z], (spacing[1], spacing[0]))
        under_skin = map_coordinates(depth, (rows, columns), order=1, mode="nearest") > SKIN_DEPTH
        path = _smoothest_edge(band, under_skin, offsets)
        walls[z] = _by_column(arc, path, middle, row, array.shape[2], spacing)
    return walls


def _smoothest_edge(band: np.ndarray, allowed: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the offset (n,) of the wall at every point of the arc: the least-cost path in a band (n, offsets)."""
    depth = int(EDGE_DEPTH)
    sums = np.cumsum(np.pad(band, ((0, 0), (1, 0))), axis=1)
    centre = np.arange(depth, band.shape[1] - depth)
    before = (sums[:, centre] - sums[:, centre - depth]) / depth
    behind = (sums[:, centre + depth] - sums[:, centre]) / depth
    contrast = (behind - before) / (behind + before + 1e-6 * (1 + np.abs(band).max()))
    places = offsets[centre] - 0.5
    cost = np.where(allowed[:, centre], STRAY * places**2 / REACH - contrast, 1.0)
    return places[_least_cost_path(cost, BEND)]


def _least_cost_path(cost: np.ndarray, bend: float) -> np.ndarray:
    """Return the index (n,) per row of `cost` (n, m) of the path of least sum that moves by at most one per row."""
    total, moves = cost[0].copy(), np.zeros(cost.shape, int)
    for number in range(1, len(cost)):
        padded = np.pad(total, 1, constant_values=np.inf)
        options = np.stack([padded[:-2] + bend, padded[1:-1], padded[2:] + bend])
        moves[number] = options.argmin(axis=0) - 1
        total = options.min(axis=0) + cost[number]
    path = np.empty(len(cost), int)
    path[-1] = total.argmin()
    for number in range(len(cost) - 1, 0, -1):
        path[number - 1] = path[number] + moves[number, path[number]]
    return path


def _by_column(arc: _Arc, path: np.ndarray, middle: float, row: float, width: int, spacing: Vector) -> np.ndarray:
    """Return the row (x,) of the wall in every column of a slice, from the path along the arc."""
    columns = middle + (arc.x + path * arc.normal_x) / spacing[0]
    rows = row + (arc.y + path * arc.normal_y) / spacing[1]
    order = np.argsort(columns)
    return np.interp(np.arange(width), columns[order], rows[order], left=np.inf, right=np.inf)
