"""From rows, one a mix, domain and patient, to statistics, paired gains over baselines, and their short form."""

from collections.abc import Mapping, Sequence
from operator import getitem

from pre2post.core.numbers import rounded
from pre2post.segmentation.design import split_and_phase
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, summarise
from pre2post.stats.tables import corrected, grouped, interval_options

STATISTICS_STREAM = 6  # number of this stage's random stream, so that no other stage draws the same numbers
MEASURES = ("dice", "hd95", "assd", "relative_volume_difference", "lesion_sensitivity", "false_positives", "detected")
SHORT = (
    "hd95",
    "assd",
    "relative_volume_difference",
    "lesion_sensitivity",
    "false_positives",
)  # measures whose mean stands beside the Dice

Row = Mapping[str, str | float]


def statistics_rows(rows: Sequence[Row], options: StatisticsParams, seed: int) -> list[dict]:
    """A row each mix, domain and measure: mean, SD, median, interval of the mean over patients, and n.

    A row of the input has mix, domain, case and every one of MEASURES.
    """
    table = []
    for key, own in grouped(rows, ("mix", "domain"), getitem):
        for measure in MEASURES:
            found = summarise([row[measure] for row in own], **_options(options, seed))
            table.append(
                {
                    **key,
                    "measure": measure,
                    **{name: rounded(found[name]) for name in ("mean", "sd", "median", "ci_low", "ci_high")},
                    "n": found["n"],
                }
            )
    return table


def gain_rows(
    rows: Sequence[Row], baselines: Mapping[str, str | None], options: StatisticsParams, seed: int
) -> list[dict]:
    """A row each measure, mix that has a baseline, and domain, over the patients that both have.

    difference: mean of mix minus baseline, so above 0 is better for Dice, sensitivity and detected, worse for
    distances and false positives; with its interval, Wilcoxon's p, p_holm corrected over the family of all comparisons
    of that measure in one split of patients, and the rank-biserial effect.
    """
    cells = {
        tuple(key.values()): {row["case"]: row for row in own} for key, own in grouped(rows, ("mix", "domain"), getitem)
    }
    table = []
    for measure in MEASURES:
        found = [
            _gain(measure, mix, baselines[mix], domain, cells, _options(options, seed))
            for mix, domain in cells
            if (baselines.get(mix), domain) in cells
        ]
        for _, family in grouped(found, ("domain",), lambda row, name: split_and_phase(row[name])[0]):
            table += corrected(family)
    return table


def summary(statistics: Sequence[Row], gains: Sequence[Row]) -> dict:
    """The short form of both tables for metrics/segmentation.json.

    {mix: {domain: {dice, low, high, hd95, assd, relative_volume_difference, lesion_sensitivity, false_positives, n}}}: means, with the
    interval of the Dice; "gain": {mix: {domain: {dice, low, high, p, n}}}: differences of Dice, p after Holm.
    """
    table: dict[str, dict] = {}
    for key, own in grouped(statistics, ("mix", "domain"), getitem):
        means = {row["measure"]: row["mean"] for row in own}
        dice = next(row for row in own if row["measure"] == "dice")
        table.setdefault(key["mix"], {})[key["domain"]] = {
            "dice": dice["mean"],
            "ci_low": dice["ci_low"],
            "ci_high": dice["ci_high"],
            **{name: means[name] for name in SHORT},
            "n": dice["n"],
        }
    table["gain"] = {}
    for row in gains:
        if row["measure"] == "dice":
            table["gain"].setdefault(row["mix"], {})[row["domain"]] = {
                "dice": row["difference"],
                "ci_low": row["ci_low"],
                "ci_high": row["ci_high"],
                "p": row["p_holm"],
                "n": row["n"],
            }
    return table


def _gain(measure: str, mix: str, baseline: str, domain: str, cells: Mapping, options: Mapping) -> dict:
    ours, theirs = cells[mix, domain], cells[baseline, domain]
    cases = sorted(ours.keys() & theirs.keys())
    found = paired(*([side[case][measure] for case in cases] for side in (ours, theirs)), **options)
    return {
        "mix": mix,
        "baseline": baseline,
        "domain": domain,
        "measure": measure,
        "difference": rounded(found["mean"]),
        "ci_low": rounded(found["ci_low"]),
        "ci_high": rounded(found["ci_high"]),
        "p": rounded(found["p"]),
        "p_holm": None,
        "rank_biserial": rounded(found["rank_biserial"]),
        "n": found["n"],
    }


def _options(options: StatisticsParams, seed: int) -> dict:
    return interval_options(options, [seed, STATISTICS_STREAM])
