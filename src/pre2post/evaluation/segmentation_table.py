"""Statistics of segmenters, and paired gains over their baselines, from one row per mix, domain and patient."""

from collections.abc import Mapping, Sequence
from operator import getitem
from typing import Any

from pre2post.core.files import rounded
from pre2post.segmentation.design import split_and_phase
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, summarise
from pre2post.stats.tables import corrected, grouped, interval_options

STATISTICS_STREAM = 6  # number of this random stream; no other stage uses it
METRICS = ("dice", "hd95", "assd", "relative_volume_difference", "lesion_sensitivity", "false_positives", "detected")
SHORT = (
    "hd95",
    "assd",
    "relative_volume_difference",
    "lesion_sensitivity",
    "false_positives",
)  # metrics whose mean is in the short form, next to the Dice

Row = Mapping[str, Any]


def statistics_rows(rows: Sequence[Row], options: StatisticsParams, seed: int) -> list[dict]:
    """Return one row per mix, domain and metric: mean, SD, median, interval of the mean over patients, and n.

    An input row has mix, domain, case and all METRICS.
    """
    table = []
    for key, patients in grouped(rows, ("mix", "domain"), getitem):
        for metric in METRICS:
            found = summarise([row[metric] for row in patients], **_options(options, seed))
            table.append(
                {
                    **key,
                    "metric": metric,
                    **{name: rounded(found[name]) for name in ("mean", "sd", "median", "ci_low", "ci_high")},
                    "n": found["n"],
                }
            )
    return table


def gain_rows(
    rows: Sequence[Row], baselines: Mapping[str, str | None], options: StatisticsParams, seed: int
) -> list[dict]:
    """Return one row per metric, mix with a baseline, and domain, over the patients of both.

    difference: mean of mix minus baseline; above 0 is better for Dice, lesion_sensitivity and detected, worse for
    distances and false positives. It is followed by its interval, Wilcoxon's p, p_holm corrected over all comparisons
    of that metric in one split, and the rank-biserial effect.
    """
    cells = {
        (key["mix"], key["domain"]): {row["case"]: row for row in patients}
        for key, patients in grouped(rows, ("mix", "domain"), getitem)
    }
    table = []
    for metric in METRICS:
        found = [
            _gain(metric, mix, baseline, domain, cells, _options(options, seed))
            for mix, domain in cells
            if (baseline := baselines.get(mix)) is not None and (baseline, domain) in cells
        ]
        for _, family in grouped(found, ("domain",), lambda row, name: split_and_phase(row[name])[0]):
            table += corrected(family)
    return table


def summary(statistics: Sequence[Row], gains: Sequence[Row]) -> dict[str, dict]:
    """Return the short form of both tables for metrics/segmentation.json.

    {mix: {domain: {"dice", "ci_low", "ci_high", "hd95", "assd", "relative_volume_difference", "lesion_sensitivity",
    "false_positives", "n"}}}: means, with the interval of the Dice. "gain": {mix: {domain: {"dice", "ci_low",
    "ci_high", "p", "n"}}}: differences of Dice, with Holm-corrected p.
    """
    table: dict[str, dict] = {}
    for key, of_cell in grouped(statistics, ("mix", "domain"), getitem):
        means = {row["metric"]: row["mean"] for row in of_cell}
        dice = next(row for row in of_cell if row["metric"] == "dice")
        table.setdefault(key["mix"], {})[key["domain"]] = {
            "dice": dice["mean"],
            "ci_low": dice["ci_low"],
            "ci_high": dice["ci_high"],
            **{name: means[name] for name in SHORT},
            "n": dice["n"],
        }
    table["gain"] = {}
    for row in gains:
        if row["metric"] == "dice":
            table["gain"].setdefault(row["mix"], {})[row["domain"]] = {
                "dice": row["difference"],
                "ci_low": row["ci_low"],
                "ci_high": row["ci_high"],
                "p": row["p_holm"],
                "n": row["n"],
            }
    return table


def _gain(
    metric: str,
    mix: str,
    baseline: str,
    domain: str,
    cells: Mapping[tuple[str, str], Mapping[str, Row]],
    options: Mapping[str, Any],
) -> dict:
    of_mix, of_baseline = cells[mix, domain], cells[baseline, domain]
    cases = sorted(of_mix.keys() & of_baseline.keys())
    values, others = ([side[case][metric] for case in cases] for side in (of_mix, of_baseline))
    found = paired(values, others, **options)
    return {
        "mix": mix,
        "baseline": baseline,
        "domain": domain,
        "metric": metric,
        "difference": rounded(found["mean"]),
        "ci_low": rounded(found["ci_low"]),
        "ci_high": rounded(found["ci_high"]),
        "p": rounded(found["p"]),
        "p_holm": None,
        "rank_biserial": rounded(found["rank_biserial"]),
        "n": found["n"],
    }


def _options(options: StatisticsParams, seed: int) -> dict[str, Any]:
    return interval_options(options, [seed, STATISTICS_STREAM])
