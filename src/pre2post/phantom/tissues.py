"""MR and contrast properties of each tissue, and the tissue composition of every voxel.

Relaxation times (ms), at 1.5 T and 3 T:
- gland and fat of the breast: Rakow-Penner et al., J Magn Reson Imaging 23:87 (2006);
- muscle, heart, blood: Stanisz et al., Magn Reson Med 54:507 (2005);
- liver: de Bazelaire et al., Radiology 230:652 (2004);
- skin: Richard et al., J Invest Dermatol 97:120 (1991); bone marrow (red, water part): de Bazelaire et al. 2004;
- lung T2*: Hatabu et al., Eur J Radiol 29:245 (1999); Yu et al., Magn Reson Med 66:248 (2011);
- tumour: T2 of 83 ms, Liu et al., J Int Med Res 46:1928 (2018), longer than that of gland; T1 as of gland. Before
  contrast a tumour is visible only because it is compact, whereas gland shares its voxels with fat.
Where no T2* is published for breast imaging, T2* is set to 0.5 to 0.7 T2. At a TE of 1.5 to 2.4 ms this changes the
signal by a few percent only.

Proton density is water content relative to water: Woodard and White, Br J Radiol 59:1209 (1986).

Kinetics (K^trans 1/min, v_e, v_p): cancers Tofts et al. 1999 and Li et al., Magn Reson Med 71:1592 (2014); muscle
Padhani et al., NMR Biomed 15:143 (2002). K^trans of gland (background enhancement) and of tumours is drawn per
patient, see `patient.py` and `tumour.py`. Blood has a plasma share of 1 - haematocrit, so that the model returns the
blood concentration. The other values give the enhancement observed at 2 to 4 minutes in order of magnitude.
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.grid import Box
from pre2post.phantom.kinetics import HAEMATOCRIT


@dataclass(frozen=True)
class Tissue:
    """T1 and T2* in ms as (1.5 T, 3 T); proton density relative to water; K^trans in 1/min, v_e, v_p."""

    label: int
    t1: tuple[float, float]
    t2_star: tuple[float, float]
    density: float
    transfer: float = 0.0
    extravascular: float = 0.2
    plasma: float = 0.0


TISSUES: dict[str, Tissue] = {
    "fat": Tissue(1, (296, 367), (30, 25), 0.90, 0.003, 0.10, 0.002),
    "skin": Tissue(2, (870, 1000), (8, 6), 0.65, 0.04, 0.30, 0.015),
    "gland": Tissue(3, (1266, 1445), (40, 32), 0.80, 0.01, 0.30, 0.006),
    "muscle": Tissue(4, (1008, 1412), (28, 24), 0.77, 0.02, 0.12, 0.01),
    "bone": Tissue(5, (549, 586), (8, 5), 0.25, 0.02, 0.10, 0.01),
    "lung": Tissue(6, (1200, 1300), (2.1, 0.74), 0.15, 0.0, 0.20, 0.05),
    "blood": Tissue(7, (1441, 1932), (120, 60), 0.80, 0.0, 0.20, 1 - HAEMATOCRIT),
    "heart": Tissue(8, (1030, 1471), (28, 24), 0.77, 0.40, 0.25, 0.08),
    "liver": Tissue(9, (586, 809), (23, 16), 0.72, 0.30, 0.25, 0.10),
    "node": Tissue(10, (1100, 1350), (40, 32), 0.80, 0.15, 0.30, 0.05),
    "tumour": Tissue(11, (1270, 1440), (48, 38), 0.84, 0.30, 0.45, 0.05),
    "core": Tissue(12, (1350, 1600), (50, 40), 0.86, 0.01, 0.30, 0.0),
    "connective": Tissue(13, (1000, 1200), (20, 16), 0.60, 0.01, 0.20, 0.005),
    "benign": Tissue(14, (1250, 1430), (44, 35), 0.83, 0.10, 0.65, 0.02),
    "cyst": Tissue(15, (3000, 3500), (200, 150), 1.00),
    "protein": Tissue(16, (600, 700), (100, 60), 0.90),
    "clip": Tissue(17, (1000, 1000), (10, 10), 0.0),
    "nipple": Tissue(18, (870, 1000), (15, 12), 0.70, 0.12, 0.30, 0.03),
}
AIR = 0  # label of voxels that tissue fills by less than half


def _filled(coverage: np.ndarray) -> Box:
    """Return the smallest box that contains all voxels above 0; painting within it is much faster."""
    filled = coverage > 0
    spans = []
    for axis in range(3):
        places = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0))
    return spans[0], spans[1], spans[2]


class Composition:
    """Volume share of each tissue: (z, y, x) arrays of 0 to 1 whose sum is at most 1; the rest is air."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.shares: dict[str, np.ndarray] = {}

    def paint(self, tissue: str, coverage: np.ndarray, box: Box | None = None) -> None:
        """Paint `tissue` over the present tissues by `coverage` (0 to 1, of the size of `box`)."""
        inner = _filled(coverage)
        coverage = coverage[inner]
        starts = [span.start or 0 for span in box] if box else (0, 0, 0)
        z, y, x = (slice(start + span.start, start + span.stop) for start, span in zip(starts, inner, strict=True))
        box = z, y, x
        remaining = 1 - coverage
        for share in self.shares.values():
            share[box] *= remaining
        self.share(tissue)[box] += coverage

    def share(self, tissue: str) -> np.ndarray:
        """Return the share of a tissue, to read or to change in place."""
        return self.shares.setdefault(tissue, np.zeros(self.shape))

    def labels(self) -> np.ndarray:
        """Return the uint8 label of the tissue with the largest share; AIR where tissue fills less than half."""
        best, label = np.zeros(self.shape), np.full(self.shape, AIR, np.uint8)
        total = np.zeros(self.shape)
        for tissue, share in self.shares.items():
            label[share > best] = TISSUES[tissue].label
            best = np.maximum(best, share)
            total += share
        label[total < 0.5] = AIR
        return label
