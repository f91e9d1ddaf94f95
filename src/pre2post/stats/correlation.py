"""Spearman's rank correlation over few patients, with a bootstrap interval."""

from collections.abc import Iterable

import numpy as np

from pre2post.stats.summary import Seed

DIGITS = 12  # further digits are rounding errors: 0 stays 0
MIN_PAIRS = 3  # with two, every correlation is 1 or -1

Values = Iterable[float | None]


def spearman(
    x: Values, y: Values, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int
) -> dict[str, float | int | None]:
    """Return {"spearman", "ci_low", "ci_high", "n"} of one pair of values per patient.

    Pairs with a missing value (None) are dropped. The interval is a percentile bootstrap over patients; resamples in
    which a side is constant are excluded. spearman is None for fewer than 3 patients or a constant side, the interval
    also for fewer than `min_patients`.
    """
    pairs = _complete(x, y)
    found, n = _correlation(pairs), pairs.shape[1]
    low, high = None, None
    if found is not None and n >= min_patients:
        drawn = pairs[:, np.random.default_rng(seed).integers(n, size=(n_resamples, n))]  # (2, n_resamples, n)
        drawn = drawn[:, np.ptp(drawn, axis=2).all(axis=0)]
        first, second = standard_ranks(drawn)
        ends = np.quantile((first * second).sum(axis=1), [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
        low, high = map(float, ends)
    return {"spearman": found, "ci_low": low, "ci_high": high, "n": n}


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
