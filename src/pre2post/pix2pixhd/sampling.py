"""The batches of an epoch: slices, their order and augmentation. A function of (seed, epoch), so resume is exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Ranges of augmentation: about the variation of position and size between the patients of one cohort.
ROTATION = 0.2  # rad, either way
SCALE = 0.15  # of the logarithm of the size along each axis, either way
SHIFT = 0.1  # of half the slice, either way
UNMOVED = 0.3  # fraction of slices: interpolation removes fine detail, and the networks should see all of it too


@dataclass(frozen=True)
class Batch:
    slices: np.ndarray  # (n,) indices into the slice arrays
    flips: np.ndarray  # (n,) whether to mirror each slice left to right
    moves: np.ndarray | None = None  # (n, 2, 3) float32 affine maps from output to input, both in [-1, 1]; None: none
    share: float = 1.0  # of the joint batch of all processes

    def shard(self, rank: int, processes: int) -> "Batch":
        """Return the part of one process: every slice number rank + k * processes.

        A process without a slice gets one that does not count (share 0), because all processes must take every step.
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
    shows_lesion: np.ndarray | None = None,
    lesion_slices: float = 0.0,
) -> list[Batch]:
    """Draw the batches of one epoch.

    cases: the patient of each slice.
    slices_per_case: slices drawn per patient; 0 means all. A patient with fewer slices gives all of them.
    flip: mirror half of the slices, at random.
    augment: apply a random rotation, scale and shift to each slice, except to the fraction UNMOVED.
    shows_lesion: whether each slice shows an annotated lesion. lesion_slices: fraction of a patient's drawn slices that
        are chosen among these, as far as there are enough; the others are chosen among all remaining slices.
    The last batch may be smaller; no slice is dropped.
    """
    random = np.random.default_rng([seed, epoch])
    case_array = np.asarray(cases)
    chosen = []
    for case in np.unique(case_array):
        own = random.permutation(np.flatnonzero(case_array == case))
        if shows_lesion is not None:
            first = own[shows_lesion[own]][: round(lesion_slices * slices_per_case)]
            own = np.concatenate([first, own[~np.isin(own, first)]])
        chosen.append(own[:slices_per_case] if slices_per_case else own)
    order = random.permutation(np.concatenate(chosen))
    flips = random.random(len(order)) < 0.5 if flip else np.zeros(len(order), bool)
    moves = _draw_moves(random, len(order)) if augment else None
    parts = [slice(start, start + batch_size) for start in range(0, len(order), batch_size)]
    return [Batch(order[part], flips[part], None if moves is None else moves[part]) for part in parts]


def _draw_moves(random: np.random.Generator, count: int) -> np.ndarray:
    """Draw affine maps (count, 2, 3): a rotation, a scale along each axis and a shift, or the identity."""
    angle = random.uniform(-ROTATION, ROTATION, count)
    scale = np.exp(random.uniform(-SCALE, SCALE, (count, 2)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    shift = random.uniform(-SHIFT, SHIFT, (count, 2, 1))
    moves = np.concatenate([turn * scale[:, :, None], shift], axis=2)
    moves[random.random(count) < UNMOVED] = np.eye(2, 3)
    return moves.astype(np.float32)
