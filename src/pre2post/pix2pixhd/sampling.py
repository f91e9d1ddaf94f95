"""Which slices an epoch shows, in which order and how moved: a function of (seed, epoch), so resume is exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# How patients of one cohort differ in position and size; a resampled slice still looks like a patient.
ROTATION = 0.2  # rad, either way
SCALE = 0.15  # of the logarithm of the size along each axis, either way
SHIFT = 0.1  # of half the slice, either way


@dataclass(frozen=True)
class Batch:
    slices: np.ndarray  # (n,) indices into the slice arrays
    flips: np.ndarray  # (n,) whether to mirror each left to right
    moves: np.ndarray | None = None  # (n, 2, 3) float32 affine maps from output to input, both in [-1, 1]; None: stay
    share: float = 1.0  # of the joint batch of all processes

    def part(self, rank: int, processes: int) -> "Batch":
        """What one of several processes takes of it: every so-many-th slice.

        One that would go empty-handed takes a slice that does not count, since every process has to take every step.
        """
        own = np.arange(len(self.slices))[rank::processes]
        share = len(own) / len(self.slices)
        own = own if share else np.array([0])
        return Batch(self.slices[own], self.flips[own], None if self.moves is None else self.moves[own], share)


def epoch_batches(
    cases: Sequence[str],
    seed: int,
    epoch: int,
    slices_per_case: int,
    batch_size: int,
    flip: bool,
    augment: bool = False,
) -> list[Batch]:
    """Draws an epoch's batches. `cases[i]` is the patient of slice i; 0 `slices_per_case` means every slice.

    A patient with fewer slices than asked for gives all of them. The last batch may be smaller: none is dropped.
    `augment` moves each slice by a random rotation, scale and shift.
    """
    random = np.random.default_rng([seed, epoch])
    cases = np.asarray(cases)
    chosen = []
    for case in np.unique(cases):
        own = random.permutation(np.flatnonzero(cases == case))
        chosen.append(own[:slices_per_case] if slices_per_case else own)
    order = random.permutation(np.concatenate(chosen))
    flips = random.random(len(order)) < 0.5 if flip else np.zeros(len(order), bool)
    moves = _draw_moves(random, len(order)) if augment else None
    parts = [slice(start, start + batch_size) for start in range(0, len(order), batch_size)]
    return [Batch(order[part], flips[part], None if moves is None else moves[part]) for part in parts]


def _draw_moves(random: np.random.Generator, count: int) -> np.ndarray:
    """(count, 2, 3) random affine maps: a rotation, then a scale along each axis and a shift."""
    angle = random.uniform(-ROTATION, ROTATION, count)
    scale = np.exp(random.uniform(-SCALE, SCALE, (count, 2)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    shift = random.uniform(-SHIFT, SHIFT, (count, 2, 1))
    return np.concatenate([turn * scale[:, :, None], shift], axis=2).astype(np.float32)
