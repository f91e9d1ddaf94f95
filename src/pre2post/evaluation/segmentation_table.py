"""Statistics of segmenters, and paired gains over their baselines, from one row per mix, domain and patient."""

from collections.abc import Mapping, Sequence
from operator import getitem
from typing import Any

from pre2post.core.files import rounded
from pre2post.evaluation.cells import STATISTICS_STREAM, Cells, Row, by_case, cells_of, shared_values
from pre2post.evaluation.primary import comparison_name
from pre2post.segmentation.design import BASELINE, Comparison
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, summarise
from pre2post.stats.tables import grouped, interval_options

METRICS = ("dice", "hd95", "assd", "relative_volume_difference", "lesion_sensitivity", "false_positives", "detected")
SHORT = (
    "hd95",
    "assd",
    "relative_volume_difference",
    "lesion_sensitivity",
    "false_positives",
)  # metrics whose mean is in the short form, next to the Dice


def statistics_rows(rows: Sequence[Row], options: StatisticsParams, seed: int) -> list[dict]:
    """Return one row per mix, domain and metric: mean, SD, median, interval of the mean over patients, and n.

    An input row has mix, domain, case, all METRICS and, if there are several trainings of a mix, seed.
    """
    table = []
    for key, patients in grouped(rows, ("mix", "domain"), getitem):
        for metric in METRICS:
            found = summarise(list(by_case(patients, metric).values()), **_options(options, seed))
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
    rows: Sequence[Row], comparisons: Sequence[Comparison], options: StatisticsParams, seed: int
) -> list[dict]:
    """Return one row per metric, comparison and domain, over the patients of both mixes. They are descriptive.

    difference: mean of mix minus baseline; above 0 is better for Dice, lesion_sensitivity and detected, worse for
    distances and false positives. It is followed by its interval and the rank-biserial effect.
    """
    cells = cells_of(rows)
    return [
        _gain(metric, comparison, domain, cells, _options(options, seed))
        for metric in METRICS
        for comparison in comparisons
        for domain in dict.fromkeys(domain for _, domain in cells)
        if (comparison.mix, domain) in cells and (comparison.baseline, domain) in cells
    ]


def summary(statistics: Sequence[Row], gains: Sequence[Row], primary: Sequence[Row]) -> dict[str, dict]:
    """Return the short form of the tables for metrics/segmentation.json.

    {mix: {domain: {"dice", "ci_low", "ci_high", "hd95", "assd", "relative_volume_difference", "lesion_sensitivity",
    "false_positives", "n"}}}: means, with the interval of the Dice.
    "gain": {mix: {domain: {"dice", "ci_low", "ci_high", "n"}}}: differences of Dice to the baseline mix.
    "rivals", if there are any: {mix: {rival: {domain: ...}}}, the same to mixes with look-up volumes in place of
    synthetic ones.
    "primary": {split: {comparison: {"dice", "ci_low", "ci_high", "p_holm", "shown"}}}, see primary.py.
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
    table |= {"gain": {}, "rivals": {}, "primary": {}}
    for row in (row for row in gains if row["metric"] == "dice"):
        of_mix = table["gain" if row["kind"] == BASELINE else "rivals"].setdefault(row["mix"], {})
        cells = of_mix if row["kind"] == BASELINE else of_mix.setdefault(row["baseline"], {})
        cells[row["domain"]] = {"dice": row["difference"], **{name: row[name] for name in ("ci_low", "ci_high", "n")}}
    for row in primary:
        table["primary"].setdefault(row["split"], {})[comparison_name(row)] = {
            "dice": row["difference"],
            **{name: row[name] for name in ("ci_low", "ci_high", "p_holm", "shown")},
        }
    return {name: cells for name, cells in table.items() if cells or name != "rivals"}


def _gain(metric: str, comparison: Comparison, domain: str, cells: Cells, options: Mapping[str, Any]) -> dict:
    mix, baseline, kind = comparison
    found = paired(*shared_values(cells, mix, baseline, domain, metric), **options)
    return {
        "mix": mix,
        "baseline": baseline,
        "kind": kind,
        "domain": domain,
        "metric": metric,
        "difference": rounded(found["mean"]),
        **{name: rounded(found[name]) for name in ("ci_low", "ci_high", "rank_biserial")},
        "n": found["n"],
    }


def _options(options: StatisticsParams, seed: int) -> dict[str, Any]:
    return interval_options(options, [seed, STATISTICS_STREAM])
