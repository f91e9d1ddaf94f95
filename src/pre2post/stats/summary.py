"""Means over patients with intervals, and paired tests: one value per patient in, numbers for JSON out."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError

Seed = int | Sequence[int]
Summary = dict[str, float | int | None]

CONSTANT = 1e-12  # relative spread below which values differ by rounding only


def summarise(values: ArrayLike, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int) -> Summary:
    """Return {"mean", "sd", "median", "ci_low", "ci_high", "n"} of one value per patient.

    ci_low, ci_high: bias-corrected and accelerated (BCa) bootstrap interval of the mean over patients (Efron 1987) from
        `n_resamples` resamples. None for fewer than `min_patients` patients. For equal values, where BCa is undefined,
        both are the mean.
    sd: of the sample (n - 1); None for a single patient.

    Without patients every statistic is None. Raises InputError for values that are not finite.
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


def paired(
    a: ArrayLike, b: ArrayLike, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int
) -> Summary:
    """Summarise the differences a - b of the same patients in the same order, and add "p" and "rank_biserial".

    p: of Wilcoxon's signed-rank test, two-sided, exact for few patients without ties; 1 if no patient differs; None for
        fewer than `min_patients`.
    rank_biserial: the matched-pairs rank-biserial correlation.

    Raises InputError for unequal lengths or values that are not finite.
    """
    first, second = _checked(a), _checked(b)
    if first.shape != second.shape:
        raise InputError(
            "a paired comparison needs the same patients on both sides", found=f"{len(first)} and {len(second)} values"
        )
    differences = first - second
    p = _wilcoxon(differences) if len(differences) >= min_patients else None
    return {
        **summarise(differences, confidence_level, n_resamples, seed, min_patients),
        "p": p,
        "rank_biserial": rank_biserial(differences) if len(differences) else None,
    }


def mean_interval(values: np.ndarray, confidence_level: float, n_resamples: int, seed: Seed) -> tuple[float, float]:
    """Return the BCa bootstrap interval of the mean of at least two values."""
    from scipy.stats import bootstrap

    centre, spread = values.mean(), np.ptp(values)
    if spread <= CONSTANT * np.abs(values).max():
        return float(centre), float(centre)
    # The interval is equivariant to shift and scale; standardised values cannot under- or overflow.
    found = bootstrap(
        ((values - centre) / spread,),
        np.mean,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(centre + spread * found.low), float(centre + spread * found.high)


def rank_biserial(differences: ArrayLike) -> float:
    """Return the matched-pairs rank-biserial correlation (Kerby 2014), the effect size of Wilcoxon's test, -1 to 1.

    It is the positive minus the negative share of the rank sum: 1 if every difference is positive. Differences of 0 are
    excluded, as in the test; the result is 0 if there are no others.
    """
    from scipy.stats import rankdata

    nonzero = _checked(differences)
    nonzero = nonzero[nonzero != 0]
    ranks = rankdata(np.abs(nonzero))
    return float((ranks * np.sign(nonzero)).sum() / ranks.sum()) if len(ranks) else 0.0


def mcnemar(first: Iterable[object], second: Iterable[object], min_patients: int) -> dict[str, float | int | None]:
    """Compare two yes/no values per patient, in the same order, with McNemar's test (McNemar 1947).

    Return {"first", "second", "only_first", "only_second", "p", "n"}:
    first, second: rates of yes; None without patients.
    only_first, only_second: the discordant pairs, patients with yes in only that one.
    p: exact, two-sided, binomial over the discordant pairs; 1 without discordant pairs; None for fewer than
        `min_patients`.
    """
    from scipy.stats import binomtest

    pairs = [(bool(one), bool(other)) for one, other in zip(first, second, strict=True)]
    n = len(pairs)
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    both, discordant = pairs.count((True, True)), only_first + only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return {
        "first": (both + only_first) / n if n else None,
        "second": (both + only_second) / n if n else None,
        "only_first": only_first,
        "only_second": only_second,
        "p": p if n >= min_patients else None,
        "n": n,
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the P values of one family of comparisons to control the family-wise error rate (Holm 1979).

    Step-down procedure: the smallest of m P values times m, the next times m - 1, ..., never decreasing, at most 1.
    None means no test and is not counted.
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
        warnings.simplefilter("ignore")  # about the approximation, the only one for small samples with ties
        return float(wilcoxon(differences).pvalue)


def _checked(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(array).all():
        raise InputError(
            "a patient's value is not finite",
            found=f"{np.count_nonzero(~np.isfinite(array))} of {len(array)}",
            expected="a number per patient",
        )
    return array
