"""Spearman's rank correlation over few patients, with a P value by permutation."""

import numpy as np

from pre2post.stats.summary import Seed

PERMUTATIONS = 9999  # drawn where there are more than this; so all 5040 of 7 patients are taken, and p reaches 0.0002
DIGITS = 12  # beyond these, a correlation is rounding: 0 stays 0
FEWEST = 3  # pairs: with two, every correlation is 1 or -1


def spearman(x, y, seed: Seed, min_patients: int) -> dict[str, float | int | None]:
    """{"spearman", "p", "n"} of one pair of values a patient; who lacks one of them (None) is left out.

    p: two-sided, of permutations of the patients, exact up to 7 of them: the usual approximation by Student's t is
    made for hundreds. spearman is None for fewer than 3 patients or where one side is constant, p also with fewer than
    `min_patients`.
    """
    pairs = _complete(x, y)
    found = rank_correlation(*pairs)
    tested = found is not None and pairs.shape[1] >= min_patients
    return {"spearman": found, "p": _p(*standard_ranks(pairs), seed) if tested else None, "n": pairs.shape[1]}


def rank_correlation(x, y) -> float | None:
    """Spearman's correlation of the pairs that have both values; None for fewer than 3, or where one is constant."""
    pairs = _complete(x, y)
    if pairs.shape[1] < FEWEST or not np.ptp(pairs, axis=1).all():
        return None
    first, second = standard_ranks(pairs)
    return round(float(first @ second), DIGITS) + 0.0


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, mean ranks for ties, of mean 0 and norm 1: their product is Spearman's correlation."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=-1, keepdims=True)


def _complete(x, y) -> np.ndarray:
    """The pairs (2, n) without those that lack a value (None)."""
    return np.array([pair for pair in zip(x, y, strict=True) if None not in pair], dtype=np.float64).reshape(-1, 2).T


def _p(first: np.ndarray, second: np.ndarray, seed: Seed) -> float:
    from scipy.stats import permutation_test

    found = permutation_test(
        (first,),
        lambda drawn, axis=-1: drawn @ second,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
