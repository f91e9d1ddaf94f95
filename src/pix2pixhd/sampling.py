"""Which slices an epoch shows, in which order, flipped or not: a function of (seed, epoch), so resume is exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Batch:
    slices: np.ndarray  # indices into the slice arrays
    flips: np.ndarray   # whether to mirror each left to right


def epoch_batches(cases: Sequence[str], seed: int, epoch: int, slices_per_case: int, batch_size: int,
                  flip: bool) -> list[Batch]:
    """Draws an epoch's batches. `cases[i]` is the patient of slice i; 0 `slices_per_case` means every slice.

    A patient with fewer slices than asked for gives all of them. The last batch may be smaller: none is dropped.
    """
    random = np.random.default_rng([seed, epoch])
    cases = np.asarray(cases)
    chosen = []
    for case in np.unique(cases):
        own = random.permutation(np.flatnonzero(cases == case))
        chosen.append(own[:slices_per_case] if slices_per_case else own)
    order = random.permutation(np.concatenate(chosen))
    flips = random.random(len(order)) < 0.5 if flip else np.zeros(len(order), bool)
    starts = range(0, len(order), batch_size)
    return [Batch(order[start:start + batch_size], flips[start:start + batch_size]) for start in starts]
