"""The tissues in every voxel, as shares that are painted over one another."""

import numpy as np

from pre2post.phantom.tissues import AIR, TISSUES


class Composition:
    """Volume share of each tissue, (z, y, x) arrays in 0..1 whose sum is at most 1; the rest is air."""

    def __init__(self, shape: tuple[int, int, int]):
        self.shape = shape
        self.shares: dict[str, np.ndarray] = {}

    def paint(self, tissue: str, coverage: np.ndarray, box: tuple[slice, slice, slice] | None = None) -> None:
        """Puts `tissue` over what is there, wherever `coverage` (0..1, of the size of `box`) says so."""
        box = box or (slice(None),) * 3
        remaining = 1 - coverage
        for share in self.shares.values():
            share[box] *= remaining
        self.share(tissue)[box] += coverage

    def share(self, tissue: str) -> np.ndarray:
        return self.shares.setdefault(tissue, np.zeros(self.shape))

    def labels(self) -> np.ndarray:
        """uint8 label of the tissue with the largest share; air where tissue fills less than half of the voxel."""
        best, label = np.zeros(self.shape), np.full(self.shape, AIR, np.uint8)
        total = np.zeros(self.shape)
        for tissue, share in self.shares.items():
            label[share > best] = TISSUES[tissue].label
            best = np.maximum(best, share)
            total += share
        label[total < 0.5] = AIR
        return label
