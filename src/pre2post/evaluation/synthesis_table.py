"""Tables of a split of patients out of one value a patient, method and metric: statistics, gains over the baselines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pre2post.core.numbers import rounded
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, summarise
from pre2post.stats.tables import corrected, grouped, interval_options

METHODS = (
    "synthetic",
    "pre",
    "lut",
)  # the generator, then the baselines: untouched pre, and its grey-level look-up table
FLOORS = METHODS[1:]
REGIONS = ("whole", "breast", "lesion", "contralateral")
HIGHER_IS_BETTER = frozenset({"psnr", "ssim", "ms_ssim"})
LOWER_IS_BETTER = frozenset({"mae", "mse", "nmse", "lpips", "false", "missed"})  # others have no better and worse


class Value(NamedTuple):
    """One patient's value of a metric, in an image (post, or subtraction: post minus pre) and region, by a method."""

    split: str
    case: str
    image: str
    region: str
    metric: str
    method: str
    value: float


def patient_rows(values: Iterable[Value], image: str) -> list[dict]:
    """A row each patient, region and method with a column a metric, of one image; None where it has no such value."""
    values = [value for value in values if value.image == image]
    metrics = dict.fromkeys(value.metric for value in values)
    return [
        {**key, **dict.fromkeys(metrics), **{value.metric: _shown(value.value) for value in own}}
        for key, own in grouped(values, ("split", "case", "region", "method"))
    ]


def statistics_rows(values: Iterable[Value], options: StatisticsParams, seed) -> list[dict]:
    """A row each split, image, region, metric and method: mean, SD, median, interval over patients, n, and a note."""
    rows = []
    for key, own in grouped(values, ("split", "image", "region", "metric", "method")):
        found = _summary(own, options, seed)
        rows.append(
            {
                **key,
                **{name: rounded(found[name]) for name in ("mean", "sd", "median", "ci_low", "ci_high")},
                "n": found["n"],
                "note": _note(len(own), found["mean"] is not None, options),
            }
        )
    return rows


def gain_rows(values: Iterable[Value], options: StatisticsParams, seed) -> list[dict]:
    """A row each split, image, region, metric and baseline: by how much the synthetic image is better, by patient.

    Of metrics that have a better and a worse; continuity, which should be 1, and the published wrap-around have none.
    gain: mean difference, above 0 where the synthetic image is better, whichever way the metric points; its interval,
    Wilcoxon's p, p_holm corrected over the family of all comparisons of that split, image and metric (its regions and
    baselines), and the rank-biserial effect.
    """
    rows = []
    comparable = (value for value in values if value.metric in HIGHER_IS_BETTER | LOWER_IS_BETTER)
    for _, family in grouped(comparable, ("split", "image", "metric")):
        found = [
            row
            for key, own in grouped(family, ("split", "image", "region", "metric"))
            for baseline in FLOORS
            if (row := _gain(key, own, baseline, options, seed))
        ]
        rows += corrected(found)
    return rows


def split_table(split: str, n: int, statistics: Sequence[Mapping], gains: Sequence[Mapping]) -> dict:
    """The short form of both for metrics/synthesis.json, of n patients. The keys are always the same; None: no value.

    {"n", region: {method: {"mae", "ssim"}, synthetic also "ci_low" and "ci_high" of its MAE, "gain_over_<baseline>": {"mae",
    "ci_low", "ci_high", "p_holm"}}, "enhancement": {method: {"false", "missed"}}, "continuity": {"z", "y", "x"}}.
    """
    means = {
        tuple(row[name] for name in ("image", "region", "metric", "method")): row
        for row in statistics
        if row["split"] == split
    }
    differences = {
        (row["region"], row["baseline"]): row
        for row in gains
        if (row["split"], row["image"], row["metric"]) == (split, "post", "mae")
    }

    def mean(*key: str, column: str = "mean") -> float | None:
        return means[key][column] if key in means else None

    table: dict = {"n": n}
    for region in REGIONS:
        table[region] = {
            method: {metric: mean("post", region, metric, method) for metric in ("mae", "ssim")} for method in METHODS
        }
        table[region]["synthetic"] |= {
            end: mean("post", region, "mae", "synthetic", column=end) for end in ("ci_low", "ci_high")
        }
        table[region] |= {
            f"gain_over_{baseline}": _short_gain(differences.get((region, baseline))) for baseline in FLOORS
        }
    table["enhancement"] = {
        method: {kind: mean("subtraction", "outside_lesion", kind, method) for kind in ("false", "missed")}
        for method in METHODS
    }
    table["continuity"] = {axis: mean("post", "breast", f"continuity_{axis}", "synthetic") for axis in "zyx"}
    return table


def distance_table(rows: Iterable[Mapping]) -> dict:
    """{"distances": {distance: {compared set: value, "n": slices or patients}}} for metrics/synthesis.json.

    n is that of the synthetic set; the halves of the real set hold half as many, so theirs is larger for that alone.
    """
    table: dict = {}
    for row in rows:
        table.setdefault(row["distance"], {})[row["compared"]] = row["value"]
        if row["compared"] == METHODS[0]:
            table[row["distance"]]["n"] = row["n"]
    return {"distances": table}


def _shown(value: float) -> float:
    """Six digits, infinity as it is: a table, unlike JSON, has a word for it."""
    return rounded(value) if np.isfinite(value) else value


def _summary(own: Sequence[Value], options: StatisticsParams, seed) -> dict:
    values = [value.value for value in own]
    found = summarise(values if np.isfinite(values).all() else [], **interval_options(options, seed))
    return found | {"n": len(values)}


def _gain(key: dict, own: Sequence[Value], baseline: str, options: StatisticsParams, seed) -> dict | None:
    """The row of one baseline; None where there is nothing to compare, or an infinite value cannot be."""
    by_method = {
        method: {value.case: value.value for value in own if value.method == method}
        for method in ("synthetic", baseline)
    }
    cases = sorted(by_method["synthetic"].keys() & by_method[baseline].keys())
    synthetic, other = (np.array([by_method[method][case] for case in cases]) for method in ("synthetic", baseline))
    if not cases or not np.isfinite([synthetic, other]).all():
        return None
    better, worse = (synthetic, other) if key["metric"] in HIGHER_IS_BETTER else (other, synthetic)
    found = paired(better, worse, **interval_options(options, seed))
    return {
        **key,
        "baseline": baseline,
        "gain": rounded(found["mean"]),
        **{name: rounded(found[name]) for name in ("ci_low", "ci_high", "p", "rank_biserial")},
        "n": found["n"],
        "note": _note(len(cases), True, options),
    }


def _note(n: int, finite: bool, options: StatisticsParams) -> str:
    """Why a row lacks some of its numbers."""
    if not finite:
        return "infinite for at least one patient, so there is no mean"
    few = n < options.min_patients
    return f"{n} patient{'s' * (n > 1)}: no interval and no test with fewer than {options.min_patients}" if few else ""


def _short_gain(row: Mapping | None) -> dict:
    row = row or {}
    return {"mae": row.get("gain"), **{name: row.get(name) for name in ("ci_low", "ci_high", "p_holm")}}
