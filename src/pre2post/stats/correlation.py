"""Spearman's rank correlation over few patients, with a permutation test."""

from collections.abc import Iterable

import numpy as np

from pre2post.stats.summary import Seed

PERMUTATIONS = 9999  # drawn if there are more; so all 5040 permutations of 7 patients are used, and p can be 0.0002
DIGITS = 12  # further digits are rounding errors: 0 stays 0
MIN_PAIRS = 3  # with two, every correlation is 1 or -1

Values = Iterable[float | None]


def spearman(x: Values, y: Values, seed: Seed, min_patients: int) -> dict[str, float | int | None]:
    """Return {"spearman", "p", "n"} of one pair of values per patient; pairs with a missing value (None) are dropped.

    p is two-sided, from permutations of the patients, exact up to 7 patients: the usual approximation by Student's t
    needs hundreds. spearman is None for fewer than 3 patients or a constant side, p also for fewer than `min_patients`.
    """
    pairs = _complete(x, y)
    found = _correlation(pairs)
    tested = found is not None and pairs.shape[1] >= min_patients
    return {"spearman": found, "p": _p(standard_ranks(pairs), seed) if tested else None, "n": pairs.shape[1]}


def rank_correlation(x: Values, y: Values) -> float | None:
    """Return Spearman's correlation of the pairs with both values; None for fewer than 3, or if a side is constant."""
    return _correlation(_complete(x, y))


def _correlation(pairs: np.ndarray) -> float | None:
    if pairs.shape[1] < MIN_PAIRS or not np.ptp(pairs, axis=1).all():
        return None
    first, second = standard_ranks(pairs)
    return round(float(first @ second), DIGITS) + 0.0


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis (mean ranks for ties) with mean 0 and norm 1; products are Spearman's."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=-1, keepdims=True)


def _complete(x: Values, y: Values) -> np.ndarray:
    """Return the pairs (2, n) that have both values."""
    return np.array([pair for pair in zip(x, y, strict=True) if None not in pair], dtype=np.float64).reshape(-1, 2).T


def _p(ranks: np.ndarray, seed: Seed) -> float:
    from scipy.stats import permutation_test

    first, second = ranks
    found = permutation_test(
        (first,),
        lambda permuted, axis=-1: permuted @ second,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
