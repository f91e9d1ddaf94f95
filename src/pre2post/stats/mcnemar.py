"""McNemar's test: whether the same patients succeed more often under one condition than under another."""

from collections.abc import Sequence


def mcnemar(first: Sequence[bool], second: Sequence[bool], min_patients: int) -> dict[str, float | int | None]:
    """{"first", "second", "only_first", "only_second", "p", "n"} of one pair of yes or no a patient, in one order.

    first, second: rates. only_first, only_second: patients with yes in that one alone, the discordant pairs. p: exact,
    two-sided, binomial over these (McNemar 1947); 1 where there is none; None with fewer than `min_patients`. Rates of
    no patient are None.
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
