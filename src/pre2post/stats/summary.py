"""Means over patients with intervals, and paired tests: values of patients in, numbers for JSON out."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError

Seed = int | Sequence[int]
Summary = dict[str, float | int | None]

CONSTANT = 1e-12  # relative spread below which values differ by rounding only


def summarise(values: ArrayLike, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int) -> Summary:
    """Return {"mean", "sd", "median", "ci_low", "ci_high", "n"} of the values of patients.

    values: one per patient, (n,), or one per patient and training seed, (n, seeds). sd and median are over patients, of
        the means over seeds.
    ci_low, ci_high: bootstrap interval of the mean from `n_resamples` resamples, see mean_interval. None for fewer than
        `min_patients` patients.
    sd: of the sample (n - 1); None for a single patient.

    Without patients every statistic is None. Raises InputError for values that are not finite.
    """
    table = _checked(values)
    n = len(table)
    if n == 0:
        return {"mean": None, "sd": None, "median": None, "ci_low": None, "ci_high": None, "n": 0}
    low, high = mean_interval(table, confidence_level, n_resamples, seed) if n >= min_patients else (None, None)
    by_patient = table.mean(axis=1)
    return {
        "mean": float(by_patient.mean()),
        "sd": float(by_patient.std(ddof=1)) if n > 1 else None,
        "median": float(np.median(by_patient)),
        "ci_low": low,
        "ci_high": high,
        "n": n,
    }


def paired(
    a: ArrayLike, b: ArrayLike, confidence_level: float, n_resamples: int, seed: Seed, min_patients: int
) -> Summary:
    """Summarise the differences a - b of the same patients in the same order, and add "p" and "rank_biserial".

    a, b: (n,), or (n, seeds) with the same seeds in both.
    p: of Wilcoxon's signed-rank test over patients, two-sided, exact for few patients without ties; 1 if no patient
        differs; None for fewer than `min_patients`.
    rank_biserial: the matched-pairs rank-biserial correlation.

    Raises InputError for unequal numbers or values that are not finite.
    """
    differences = _differences(a, b)
    by_patient = differences.mean(axis=1)
    return {
        **summarise(differences, confidence_level, n_resamples, seed, min_patients),
        "p": _wilcoxon(by_patient) if len(by_patient) >= min_patients else None,
        "rank_biserial": rank_biserial(by_patient) if len(by_patient) else None,
    }


def not_inferior(a: ArrayLike, b: ArrayLike, margin: float, min_patients: int) -> float | None:
    """Return p of the hypothesis that a, higher being better, is worse than b by `margin` or more, over patients.

    Wilcoxon's signed-rank test of a - b + margin, one-sided and doubled, so that it is compared with the same level as
    a two-sided test (ICH E9, section 3.3.2: the one-sided level is half of the two-sided one). None for fewer than
    `min_patients` patients.
    """
    shifted = _differences(a, b).mean(axis=1) + margin
    return min(1.0, 2 * _wilcoxon(shifted, "greater")) if len(shifted) >= min_patients else None


def mean_interval(values: np.ndarray, confidence_level: float, n_resamples: int, seed: Seed) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of values (n,) or (n, seeds) of at least two patients.

    One seed: bias-corrected and accelerated (BCa, Efron 1987). Several: patients and seeds are resampled independently
    of each other (Owen 2007, the pigeonhole bootstrap), with percentiles. For equal values, where BCa is undefined,
    both ends are the mean.
    """
    table = values.reshape(len(values), -1)
    centre, spread = table.mean(), np.ptp(table)
    if spread <= CONSTANT * np.abs(table).max():
        return float(centre), float(centre)
    # The interval is equivariant to shift and scale; standardised values cannot under- or overflow.
    standard = (table - centre) / spread
    one = table.shape[1] == 1
    low, high = (_bca if one else _pigeonhole)(standard, confidence_level, n_resamples, np.random.default_rng(seed))
    return float(centre + spread * low), float(centre + spread * high)


def _bca(table: np.ndarray, level: float, n_resamples: int, rng: np.random.Generator) -> tuple[float, float]:
    from scipy.stats import bootstrap

    found = bootstrap(
        (table[:, 0],), np.mean, n_resamples=n_resamples, confidence_level=level, method="BCa", rng=rng
    ).confidence_interval
    return found.low, found.high


def _pigeonhole(table: np.ndarray, level: float, n_resamples: int, rng: np.random.Generator) -> tuple[float, float]:
    patients, seeds = (rng.multinomial(size, np.full(size, 1 / size), size=n_resamples) / size for size in table.shape)
    means = ((patients @ table) * seeds).sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def rank_biserial(differences: ArrayLike) -> float:
    """Return the matched-pairs rank-biserial correlation (Kerby 2014), the effect size of Wilcoxon's test, -1 to 1.

    It is the positive minus the negative share of the rank sum: 1 if every difference is positive. Differences of 0 are
    excluded, as in the test; the result is 0 if there are no others.
    """
    from scipy.stats import rankdata

    nonzero = _checked(differences).ravel()
    nonzero = nonzero[nonzero != 0]
    ranks = rankdata(np.abs(nonzero))
    return float((ranks * np.sign(nonzero)).sum() / ranks.sum()) if len(ranks) else 0.0


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


def _wilcoxon(differences: np.ndarray, alternative: str = "two-sided") -> float:
    from scipy.stats import wilcoxon

    if not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the approximation, the only one for small samples with ties
        return float(wilcoxon(differences, alternative=alternative).pvalue)


def _differences(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return a - b, (n, seeds)."""
    first, second = _checked(a), _checked(b)
    if first.shape != second.shape:
        raise InputError(
            "a paired comparison needs the same patients and seeds on both sides",
            found=f"values of shape {first.shape} and {second.shape}",
        )
    return first - second


def _checked(values: ArrayLike) -> np.ndarray:
    """Return the values as (n, seeds)."""
    array = np.asarray(values, dtype=np.float64)
    array = array.reshape(len(array), -1) if array.size else array.reshape(0, 1)
    if not np.isfinite(array).all():
        raise InputError(
            "a patient's value is not finite",
            found=f"{np.count_nonzero(~np.isfinite(array))} of {len(array)}",
            expected="a number per patient",
        )
    return array
