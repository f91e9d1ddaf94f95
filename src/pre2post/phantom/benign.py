"""Benign findings, none of which is in the tumour mask: fibroadenomas, cysts, bright ducts and intramammary nodes.

Fibroadenomas are smooth, compact and visible before contrast. They enhance slowly and persistently, and a third, the
sclerotic ones, hardly: Hochman et al., Radiology 204:123 (1997); Kuhl et al., Radiology 211:101 (1999). They occur in
up to a quarter of women, some with several: El-Wakeel and Umpleby, Breast 12:302 (2003); Greenberg et al., J Gen
Intern Med 13:640 (1998). Cysts take up no contrast agent and are dark on T1-weighted images unless proteins or blood
shorten T1, which also makes ducts bright: Morris et al., ACR BI-RADS MRI (2013); Kuhl, Radiology 244:356 (2007).
The frequencies of cysts and bright ducts, and the sizes of all findings, are assumptions.
Intramammary lymph nodes enhance like cancers; they were in 28 % of breasts: Egan and McSweeney, Cancer 51:1838 (1983).
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.breast import Breast
from pre2post.phantom.grid import Grid, block_mean
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import Paths, Radii, cover, curve, ellipsoid, tubes
from pre2post.phantom.tissues import Composition

FREQUENCY = {"fibroadenomas": 0.30, "cysts": 0.35, "bright_ducts": 0.25, "nodes": 0.28}  # share of the patients
FINER = 2  # subsampling along each axis, for partial volume
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Nodule:
    """A smooth finding of one `tissue`; semi-axes in mm, K^trans in 1/min (only of fibroadenomas)."""

    tissue: str
    centre: Point
    semi_axes: Point
    transfer: float = 0.0


@dataclass(frozen=True)
class Benign:
    """The benign findings of one patient. `ducts` are paths with radii, filled with bright fluid."""

    fibroadenomas: list[Nodule]
    cysts: list[Nodule]
    nodes: list[Nodule]
    ducts: tuple[Paths, Radii]


def draw_benign(rng: np.random.Generator, breasts: list[Breast], tumours: list[tuple[Point, float]]) -> Benign:
    """Draw the findings of one patient, away from the `tumours` (centre and radius in mm)."""
    present = {name: rng.random() < share for name, share in FREQUENCY.items()}
    several = int(rng.choice((1, 2, 3, 4), p=(0.6, 0.2, 0.12, 0.08)))
    fibroadenomas = [_fibroadenoma(rng, breasts) for _ in range(several if present["fibroadenomas"] else 0)]
    cysts = [_cyst(rng, breasts) for _ in range(int(rng.integers(1, 7)) if present["cysts"] else 0)]
    nodes = [_node(rng, breasts) for _ in range(int(rng.integers(1, 3)) if present["nodes"] else 0)]
    ducts = _ducts(rng, breasts[int(rng.integers(2))]) if present["bright_ducts"] else ([], [])

    def apart(nodules: list[Nodule]) -> list[Nodule]:
        return [n for n in nodules if all(_gap(n, centre) > radius + 4 for centre, radius in tumours)]

    return Benign(apart(fibroadenomas), apart(cysts), apart(nodes), ducts)


def _gap(nodule: Nodule, centre: Point) -> float:
    return float(np.sqrt((np.subtract(nodule.centre, centre) ** 2).sum())) - max(nodule.semi_axes)


def _place(rng: np.random.Generator, breasts: list[Breast], reach: float) -> Point:
    """Draw a place in the gland; its distance from the centre is up to `reach` of the gland's semi-axes."""
    breast = breasts[int(rng.integers(2))]
    direction = rng.normal(0, 1, 3) * (1, 1, 0.8)
    place = rng.uniform(0.2, reach) * direction / np.sqrt((direction**2).sum())
    return tuple(breast.gland_centre + place * breast.gland_axes)


def _fibroadenoma(rng: np.random.Generator, breasts: list[Breast]) -> Nodule:
    """Draw a fibroadenoma; the median of the long axis is 15 mm."""
    size = float(np.clip(7.5 * np.exp(rng.normal(0, 0.4)), 3, 16))
    axes = size * np.array([1, *rng.uniform(0.6, 0.9, 2)])[rng.permutation(3)]
    sclerotic = rng.random() < 1 / 3
    transfer = rng.uniform(0.005, 0.02) if sclerotic else float(np.clip(0.11 * np.exp(rng.normal(0, 0.5)), 0.04, 0.4))
    return Nodule("benign", _place(rng, breasts, 1.0), tuple(axes), float(transfer))


def _cyst(rng: np.random.Generator, breasts: list[Breast]) -> Nodule:
    size = float(np.clip(4 * np.exp(rng.normal(0, 0.5)), 1.5, 14))
    tissue = "protein" if rng.random() < 0.3 else "cyst"
    return Nodule(tissue, _place(rng, breasts, 1.1), tuple(size * rng.uniform(0.8, 1.2, 3)))


def _node(rng: np.random.Generator, breasts: list[Breast]) -> Nodule:
    """Most are in the upper outer quadrant, close to the chest wall."""
    breast = breasts[int(rng.integers(2))]
    side = np.sign(breast.centre[0])
    shift = rng.uniform((0.25, -0.5, 0.1), (0.6, -0.2, 0.6)) * breast.semi_axes * (side, 1, 1)
    return Nodule("node", tuple(np.add(breast.centre, shift)), tuple(rng.uniform((2, 2, 2.5), (3.5, 3.5, 5))))


def _ducts(rng: np.random.Generator, breast: Breast) -> tuple[Paths, Radii]:
    """Draw ducts behind the nipple that are wider than normal and bright before contrast."""
    paths: Paths = []
    radii: Radii = []
    for _ in range(int(rng.integers(2, 6))):
        end = breast.nipple + (breast.gland_centre - breast.nipple) * rng.uniform(0.6, 1.1) + rng.normal(0, 9, 3)
        paths.append(curve(rng, breast.nipple + np.array([0, 4, 0]), end, 2))
        radii.append(np.linspace(rng.uniform(1.3, 2.2), 0.7, len(paths[-1])))
    return paths, radii


def paint_benign(
    body: Composition, benign: Benign, grid: Grid, rng: np.random.Generator, interior: np.ndarray
) -> np.ndarray:
    """Paint all findings within `interior` (0 to 1); return K^trans of fibroadenomas (z, y, x) in 1/min."""
    transfer = np.zeros(grid.shape)
    patches = NoiseField(rng, 3.5)
    body.paint("protein", tubes(grid, *benign.ducts) * interior)
    for nodule in benign.cysts + benign.fibroadenomas + benign.nodes:
        reach = np.array(nodule.semi_axes) + 4
        box = grid.box(np.subtract(nodule.centre, reach), np.add(nodule.centre, reach))
        if min(s.stop - s.start for s in box) < 1:
            continue
        fine = grid.finer(box, FINER)
        distance = ellipsoid(fine.axes(), nodule.centre, nodule.semi_axes)
        if nodule.tissue == "node":  # its hilum is fat
            distance = np.maximum(distance, -ellipsoid(fine.axes(), nodule.centre, np.multiply(nodule.semi_axes, 0.35)))
        if nodule.tissue == "benign":
            transfer[box] = np.maximum(transfer[box], nodule.transfer * np.exp(0.15 * patches.on(grid.finer(box, 1))))
        body.paint(nodule.tissue, block_mean(cover(distance, fine.spacing[0]), FINER) * interior[box], box)
    return transfer
