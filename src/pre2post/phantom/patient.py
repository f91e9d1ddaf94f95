"""One patient: the tissue composition of every voxel and the uptake of contrast agent."""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.background import background, draw_level, draw_spots
from pre2post.phantom.benign import draw_benign, paint_benign
from pre2post.phantom.breast import breast_outline, draw_breasts, paint_breast
from pre2post.phantom.clip import draw_clip, paint_clip
from pre2post.phantom.grid import Box, Grid
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import cover, smooth_union
from pre2post.phantom.tissues import TISSUES, Composition
from pre2post.phantom.torso import draw_torso, outline, paint_torso, wall_distance
from pre2post.phantom.tumour import draw_tumours
from pre2post.phantom.tumour_tissue import paint_tumour
from pre2post.phantom.vessels import paint_axillae, paint_vessels

SKIN = 1.5  # mm; Huang et al., Med Phys 35:1199 (2008): 1.45 mm, thicker near the areola
FILLET = 16.0  # width in mm of the transition from breast to chest
STREAMS = 10  # of random numbers; a part that draws more does not change the others


@dataclass(frozen=True)
class Patient:
    """The ground truth of one patient; all arrays are (z, y, x) on `grid`.

    `body`: tissue shares. `skin`, `pleura`, `wall`: signed distances in mm, negative inside. `tumour`: bool, the masses
    with their cores. `transfer`: K^trans in 1/min by tissue, where it varies. `tumour_volumes`: (v_e, v_p).
    `facts`: what the patient has, one row of the cohort's table of truth.
    """

    grid: Grid
    body: Composition
    skin: np.ndarray
    pleura: np.ndarray
    wall: np.ndarray
    tumour: np.ndarray
    transfer: dict[str, np.ndarray]
    tumour_volumes: tuple[float, float]
    facts: dict[str, str | int | float]

    def labels(self) -> np.ndarray:
        """Return the uint8 tissue labels of `phantom.tissues`, 0 for air."""
        return self.body.labels()

    def breasts(self) -> np.ndarray:
        """Return the inside of the skin in front of the chest wall (z, y, x), bool."""
        return (self.skin < 0) & (self.wall > 0)

    def kinetics(self, tissue: str, filled: np.ndarray | Box) -> tuple[float | np.ndarray, float, float]:
        """Return K^trans in 1/min at the voxels `filled`, v_e and v_p of a tissue."""
        usual = TISSUES[tissue]
        volumes = self.tumour_volumes if tissue == "tumour" else (usual.extravascular, usual.plasma)
        return self.transfer[tissue][filled] if tissue in self.transfer else usual.transfer, *volumes


def make_patient(seed: int, number: int, grid: Grid) -> Patient:
    """Return patient `number` of the cohort `seed`, sampled on `grid`; every grid shows the same anatomy."""
    streams = [np.random.default_rng([seed, number, stream]) for stream in range(STREAMS)]
    torso, breasts = draw_torso(streams[0]), draw_breasts(streams[1])
    tumours = draw_tumours(streams[2], breasts)
    benign = draw_benign(streams[8], breasts, [(t.centre, t.radius) for t in tumours])
    level = draw_level(streams[9])
    spots, clip = draw_spots(streams[9], breasts, level), draw_clip(streams[9], tumours[0])
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
    paint_axillae(body, grid, streams[6], skin, wall)
    paint_vessels(body, grid, streams[6], breasts, tumours, skin)

    interior = cover(skin + SKIN + 2, 3) * cover(2 - wall, 3)
    uptake, extent = np.zeros(grid.shape), np.zeros(grid.shape)
    fibroadenomas = paint_benign(body, benign, grid, streams[8], interior)
    for tumour in tumours:
        paint_tumour(body, tumour, grid, streams[7], interior, uptake, extent)
    if clip:
        paint_clip(body, clip, grid)
    body.paint("skin", cover(skin, pixel) - cover(skin + SKIN, pixel))
    mask = (extent > 0) & (extent >= min(0.5, 0.999 * extent.max()))  # at least one voxel, also on a coarse grid
    transfer = {
        "tumour": uptake,
        "benign": fibroadenomas,
        "gland": background(streams[9], grid, skin, level, spots),
    }
    facts: dict[str, str | int | float] = {
        "cancer": tumours[0].kind,
        "cancers": len(tumours),
        "diameter_mm": round(2 * tumours[0].radius, 1),
        "k_trans": round(tumours[0].transfer, 3),
        "spicules": int(tumours[0].spicules > 0),
        "core": int(tumours[0].core > 0),
        "background_k_trans": round(level, 4),
        "fibroadenomas": len(benign.fibroadenomas),
        "cysts": len(benign.cysts),
        "bright_cysts": sum(cyst.tissue == "protein" for cyst in benign.cysts),
        "bright_ducts": len(benign.ducts[0]),
        "breast_nodes": len(benign.nodes),
        "clip": int(clip is not None),
    }
    volumes = (tumours[0].extravascular, tumours[0].plasma)
    return Patient(grid, body, skin, pleura, wall, mask, transfer, volumes, facts)
