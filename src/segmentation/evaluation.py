"""From rows of Dice, one a patient, to the table of settings and domains with intervals and paired gains."""

from collections.abc import Mapping, Sequence

from pipeline.params import Statistics
from quality.statistics import paired, summarise
from segmentation.study import baseline_of

STATISTICS_STREAM = 6  # number of this stage's random stream, so that no other stage draws the same numbers
Row = Mapping[str, str | float]


def summarise_study(rows: Sequence[Row], settings: Mapping[str, Sequence[str]], train: Sequence[str],
                    statistics: Statistics, seed: int) -> dict:
    """{setting: {domain: {dice, low, high, n}}} and, under "gain", each setting against the one without synthetic.

    A row has setting, domain, case and dice. gain: {setting: {domain: {dice, low, high, p, n}}}, where dice is the mean
    of the patients' differences (setting minus baseline), with its bootstrap interval and Wilcoxon's p.
    """
    options = {"confidence": statistics.confidence, "draws": statistics.bootstrap_draws,
               "seed": [seed, STATISTICS_STREAM], "min_patients": statistics.min_patients}
    domains = list(dict.fromkeys(row["domain"] for row in rows))
    summary = {name: {domain: _short(summarise(_dice(rows, name, domain), **options)) for domain in domains}
               for name in train}
    bases = {name: baseline_of(name, settings, train) for name in train}
    summary["gain"] = {
        name: {domain: _short(paired(_dice(rows, name, domain), _dice(rows, base, domain), **options))
               for domain in domains}
        for name, base in bases.items() if base}
    return summary


def _dice(rows: Sequence[Row], setting: str, domain: str) -> list[float]:
    """Dice of a setting in a domain, ordered by case, so that two settings pair up."""
    chosen = {row["case"]: row["dice"] for row in rows if (row["setting"], row["domain"]) == (setting, domain)}
    return [chosen[case] for case in sorted(chosen)]


def _short(found: Mapping) -> dict:
    kept = {"dice": found["mean"], "low": found["low"], "high": found["high"]}
    return kept | ({"p": found["p"]} if "p" in found else {}) | {"n": found["n"]}
