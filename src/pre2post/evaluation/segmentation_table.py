"""From rows, one a setting, domain and patient, to statistics, paired gains over baselines, and their short form."""

from collections.abc import Mapping, Sequence
from operator import getitem

from pre2post.core.numbers import rounded
from pre2post.segmentation.design import group_and_phase
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, summarise
from pre2post.stats.tables import corrected, grouped, interval_options

STATISTICS_STREAM = 6  # number of this stage's random stream, so that no other stage draws the same numbers
MEASURES = ("dice", "hd95", "assd", "volume_error", "sensitivity", "false_positives", "touched")
SHORT = ("hd95", "assd", "volume_error", "sensitivity", "false_positives")  # measures whose mean stands beside the Dice

Row = Mapping[str, str | float]


def statistics_rows(rows: Sequence[Row], options: StatisticsParams, seed: int) -> list[dict]:
    """A row each setting, domain and measure: mean, SD, median, interval of the mean over patients, and n.

    A row of the input has setting, domain, case and every one of MEASURES.
    """
    table = []
    for key, own in grouped(rows, ("setting", "domain"), getitem):
        for measure in MEASURES:
            found = summarise([row[measure] for row in own], **_options(options, seed))
            table.append(
                {
                    **key,
                    "measure": measure,
                    **{name: rounded(found[name]) for name in ("mean", "sd", "median", "low", "high")},
                    "n": found["n"],
                }
            )
    return table


def gain_rows(
    rows: Sequence[Row], baselines: Mapping[str, str | None], options: StatisticsParams, seed: int
) -> list[dict]:
    """A row each measure, setting that has a baseline, and domain, over the patients that both have.

    difference: mean of setting minus baseline, so above 0 is better for Dice, sensitivity and touched, worse for
    distances and false positives; with its interval, Wilcoxon's p, p_holm corrected over the family of all comparisons
    of that measure in one group of patients, and the rank-biserial effect.
    """
    cells = {
        tuple(key.values()): {row["case"]: row for row in own}
        for key, own in grouped(rows, ("setting", "domain"), getitem)
    }
    table = []
    for measure in MEASURES:
        found = [
            _gain(measure, setting, baselines[setting], domain, cells, _options(options, seed))
            for setting, domain in cells
            if (baselines.get(setting), domain) in cells
        ]
        for _, family in grouped(found, ("domain",), lambda row, name: group_and_phase(row[name])[0]):
            table += corrected(family)
    return table


def summary(statistics: Sequence[Row], gains: Sequence[Row]) -> dict:
    """The short form of both tables for metrics/segmentation.json.

    {setting: {domain: {dice, low, high, hd95, assd, volume_error, sensitivity, false_positives, n}}}: means, with the
    interval of the Dice; "gain": {setting: {domain: {dice, low, high, p, n}}}: differences of Dice, p after Holm.
    """
    table: dict[str, dict] = {}
    for key, own in grouped(statistics, ("setting", "domain"), getitem):
        means = {row["measure"]: row["mean"] for row in own}
        dice = next(row for row in own if row["measure"] == "dice")
        table.setdefault(key["setting"], {})[key["domain"]] = {
            "dice": dice["mean"],
            "low": dice["low"],
            "high": dice["high"],
            **{name: means[name] for name in SHORT},
            "n": dice["n"],
        }
    table["gain"] = {}
    for row in gains:
        if row["measure"] == "dice":
            table["gain"].setdefault(row["setting"], {})[row["domain"]] = {
                "dice": row["difference"],
                "low": row["low"],
                "high": row["high"],
                "p": row["p_holm"],
                "n": row["n"],
            }
    return table


def _gain(measure: str, setting: str, baseline: str, domain: str, cells: Mapping, options: Mapping) -> dict:
    ours, theirs = cells[setting, domain], cells[baseline, domain]
    cases = sorted(ours.keys() & theirs.keys())
    found = paired(*([side[case][measure] for case in cases] for side in (ours, theirs)), **options)
    return {
        "setting": setting,
        "baseline": baseline,
        "domain": domain,
        "measure": measure,
        "difference": rounded(found["mean"]),
        "low": rounded(found["low"]),
        "high": rounded(found["high"]),
        "p": rounded(found["p"]),
        "p_holm": None,
        "effect": rounded(found["effect"]),
        "n": found["n"],
    }


def _options(options: StatisticsParams, seed: int) -> dict:
    return interval_options(options, [seed, STATISTICS_STREAM])
