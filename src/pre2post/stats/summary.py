"""Means over patients with their intervals, and paired comparisons: one value a patient in, numbers for JSON out."""

import warnings
from collections.abc import Sequence

import numpy as np

from pre2post.core.errors import InputError

Seed = int | Sequence[int]
Summary = dict[str, float | int | None]

CONSTANT = 1e-12  # relative spread below which values differ by rounding only


def summarise(values, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int) -> Summary:
    """{"mean", "sd", "median", "ci_low", "ci_high", "n"} of one value a patient.

    low and high: bias-corrected and accelerated (BCa) bootstrap interval of the mean over patients (Efron 1987),
    `n_resamples` resamples. With fewer than `min_patients` patients it is withheld (None); for equal values, where BCa is
    undefined, it has no width. sd is the sample one (n - 1), None for a single patient; everything is None for no
    patient.
    Raises InputError for values that are not finite.
    """
    values = _checked(values)
    n = len(values)
    if n == 0:
        return {"mean": None, "sd": None, "median": None, "ci_low": None, "ci_high": None, "n": 0}
    low, high = mean_interval(values, confidence_level, n_resamples, seed) if n >= min_patients else (None, None)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if n > 1 else None,
        "median": float(np.median(values)),
        "ci_low": low,
        "ci_high": high,
        "n": n,
    }


def paired(a, b, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int) -> Summary:
    """summarise() of the differences a - b of the same patients in the same order, with "p" and "rank_biserial".

    p is that of Wilcoxon's signed-rank test, two-sided, exact for few patients without ties; 1 when no patient differs;
    None with fewer than `min_patients`. effect is the matched-pairs rank-biserial correlation.
    Raises InputError for unequal lengths or values that are not finite.
    """
    a, b = _checked(a), _checked(b)
    if a.shape != b.shape:
        raise InputError(
            "a paired comparison needs the same patients on both sides", found=f"{len(a)} and {len(b)} values"
        )
    differences = a - b
    p = _wilcoxon(differences) if len(differences) >= min_patients else None
    return {
        **summarise(differences, confidence_level, n_resamples, seed, min_patients),
        "p": p,
        "rank_biserial": rank_biserial(differences) if len(differences) else None,
    }


def mean_interval(values: np.ndarray, confidence_level: float, n_resamples: int, seed: Seed) -> tuple[float, float]:
    """BCa bootstrap interval of the mean of at least two values."""
    from scipy.stats import bootstrap

    centre, spread = values.mean(), np.ptp(values)
    if spread <= CONSTANT * np.abs(values).max():
        return float(centre), float(centre)
    # The interval moves and stretches with the values, so it is taken in their own unit: nothing under- or overflows.
    found = bootstrap(
        ((values - centre) / spread,),
        np.mean,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(centre + spread * found.low), float(centre + spread * found.high)


def rank_biserial(differences) -> float:
    """Effect size of paired differences, -1 to 1: share of the rank sum that is positive minus that which is negative.

    Matched-pairs rank-biserial correlation (Kerby 2014), which belongs to Wilcoxon's test: 1 when every patient's
    difference is positive. Differences of 0 are left out, as in the test; 0 when there is no other.
    """
    from scipy.stats import rankdata

    differences = _checked(differences)
    differences = differences[differences != 0]
    ranks = rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum()) if len(ranks) else 0.0


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values of one family of comparisons, adjusted so that the chance of any false finding stays below the level.

    Holm 1979's step-down procedure: the smallest of m times m, the next times m - 1, ..., never decreasing, at most 1.
    None stands for no test and is not counted.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for done, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - done) * p))
        adjusted[place] = largest
    return adjusted


def _wilcoxon(differences: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    if not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the approximation for ties is all there is for small samples with ties
        return float(wilcoxon(differences).pvalue)


def _checked(values) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(values).all():
        raise InputError(
            "a patient's value is not finite",
            found=f"{np.count_nonzero(~np.isfinite(values))} of {len(values)}",
            expected="a number for each patient",
        )
    return values
