"""Tables of synthesis metrics from one value per patient, method and metric: statistics, gains over the baselines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pre2post.core.files import rounded
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, paired, summarise
from pre2post.stats.tables import grouped, interval_options

BASELINES = ("pre", "lut", "blur")  # the pre-contrast image, a look-up table of its grey levels, one after a blur
ORACLE = "oracle"  # knows the mask and the median enhancement in it: what information could reach, no competitor
METHODS = ("synthetic", *BASELINES, ORACLE)
REAL = "real"  # the real volume, as a reference for metrics that compare no pair
SHOWN = ("mae", "ssim", "psnr")  # of every region, in metrics/synthesis.json
PIECES = tuple(f"{any_}{kind}pieces" for kind in ("", "false_", "missed_") for any_ in ("", "any_"))
REGIONS = ("whole", "breast", "lesion", "contralateral")
HIGHER_IS_BETTER = frozenset({"psnr", "ssim", "ms_ssim", "auc"})
LOWER_IS_BETTER = frozenset(
    {"mae", "mse", "nmse", "lpips", "false", "missed", "false_pieces", "missed_pieces"}
)  # other metrics have no direction


class Value(NamedTuple):
    """The value of a metric for one patient, image (post, or subtraction: post minus pre), region and method."""

    split: str
    case: str
    image: str
    region: str
    metric: str
    method: str
    value: float


def patient_rows(values: Iterable[Value], image: str) -> list[dict]:
    """Return one row per patient, region and method of one image, with one column per metric; None: no value."""
    values = [value for value in values if value.image == image]
    metrics = dict.fromkeys(value.metric for value in values)
    return [
        {**key, **dict.fromkeys(metrics), **{value.metric: _rounded(value.value) for value in row}}
        for key, row in grouped(values, ("split", "case", "region", "method"))
    ]


def statistics_rows(values: Iterable[Value], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per split, image, region, metric and method.

    Its columns: mean, SD, median, interval of the mean over patients, n, and a note if a number is missing.
    """
    rows = []
    for key, patients in grouped(values, ("split", "image", "region", "metric", "method")):
        found = _summary(patients, options, seed)
        rows.append(
            {
                **key,
                **{name: rounded(found[name]) for name in ("mean", "sd", "median", "ci_low", "ci_high")},
                "n": found["n"],
                "note": _note(len(patients), found["mean"] is not None, options),
            }
        )
    return rows


def gain_rows(values: Iterable[Value], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per split, image, region, metric and baseline: the gain of the synthetic image, paired by patient.

    Metrics without a direction have no gain: continuity, whose ideal is 1, and the published 8-bit metrics.
    gain: mean difference, above 0 if the synthetic image is better, for each direction of the metric. It is followed
    by its interval and the rank-biserial effect. These comparisons are descriptive and have no p.
    """
    comparable = (value for value in values if value.metric in HIGHER_IS_BETTER | LOWER_IS_BETTER)
    return [
        row
        for key, patients in grouped(comparable, ("split", "image", "region", "metric"))
        for baseline in BASELINES
        if (row := _gain(key, patients, baseline, options, seed))
    ]


def split_table(
    split: str, n: int, statistics: Sequence[Mapping[str, Any]], gains: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the short form of both tables for metrics/synthesis.json, for a split of n patients.

    {"n", region: {method: {"mae", "ssim", "psnr", "nmse_subtraction"}, "gain_over_<baseline>": {"mae", "ci_low",
    "ci_high"}}, "auc": {method or "real": value, "gain_over_<baseline>": {"auc", "ci_low", "ci_high"}},
    "enhancement": {method or "real": {"false", "missed", "pieces", ...}}, "continuity": {"z", "y", "x"}}. The method
    synthetic also has "ci_low" and "ci_high" of its MAE. The keys are always the same; None: no value.
    """
    means = {
        tuple(row[name] for name in ("image", "region", "metric", "method")): row
        for row in statistics
        if row["split"] == split
    }
    differences = {
        (row["metric"], row["region"], row["baseline"]): row
        for row in gains
        if (row["split"], row["image"]) == (split, "post")
    }

    def mean(*key: str, column: str = "mean") -> float | None:
        return means[key][column] if key in means else None

    table: dict = {"n": n}
    for region in REGIONS:
        table[region] = {
            method: {metric: mean("post", region, metric, method) for metric in SHOWN}
            | {"nmse_subtraction": mean("subtraction", region, "nmse", method)}
            for method in METHODS
        }
        table[region]["synthetic"] |= {
            end: mean("post", region, "mae", "synthetic", column=end) for end in ("ci_low", "ci_high")
        }
        table[region] |= {
            f"gain_over_{baseline}": _short_gain("mae", differences.get(("mae", region, baseline)))
            for baseline in BASELINES
        }
    table["auc"] = {method: mean("post", "lesion", "auc", method) for method in (*METHODS, REAL)} | {
        f"gain_over_{baseline}": _short_gain("auc", differences.get(("auc", "lesion", baseline)))
        for baseline in BASELINES
    }
    table["enhancement"] = {
        method: {kind: mean("subtraction", "outside_lesion", kind, method) for kind in ("false", "missed")}
        | {kind: mean("subtraction", "breast", kind, method) for kind in PIECES}
        for method in METHODS
    }
    table["enhancement"][REAL] = {kind: mean("subtraction", "breast", kind, REAL) for kind in ("pieces", "any_pieces")}
    table["continuity"] = {axis: mean("post", "breast", f"continuity_{axis}", "synthetic") for axis in "zyx"}
    return table


def distance_table(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict]:
    """Return {"distances": {distance: {compared set: value, "n": slices or patients}}} for metrics/synthesis.json.

    n is that of the synthetic set. The halves of the real set have n / 2, which alone makes their distance larger.
    """
    table: dict = {}
    for row in rows:
        table.setdefault(row["distance"], {})[row["compared"]] = row["value"]
        if row["compared"] == "synthetic":
            table[row["distance"]]["n"] = row["n"]
    return {"distances": table}


def _rounded(value: float) -> float | None:
    """Round to six digits; keep infinity, which a table can hold, unlike JSON."""
    return rounded(value) if np.isfinite(value) else value


def _summary(patients: Sequence[Value], options: StatisticsParams, seed: Seed) -> dict[str, Any]:
    values = [value.value for value in patients]
    found = summarise(values if np.isfinite(values).all() else [], **interval_options(options, seed))
    return found | {"n": len(values)}


def _gain(
    key: dict[str, str], patients: Sequence[Value], baseline: str, options: StatisticsParams, seed: Seed
) -> dict | None:
    """Return the row of one baseline; None if no patient has both values, or a value is infinite."""
    by_method = {
        method: {value.case: value.value for value in patients if value.method == method}
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
        **{name: rounded(found[name]) for name in ("ci_low", "ci_high", "rank_biserial")},
        "n": found["n"],
        "note": _note(len(cases), True, options),
    }


def _note(n: int, finite: bool, options: StatisticsParams) -> str:
    """Explain why a row lacks some of its numbers."""
    if not finite:
        return "no mean, since the value of at least one patient is infinite"
    few = n < options.min_patients
    return f"{n} patient{'s' * (n > 1)}: no interval and no test with fewer than {options.min_patients}" if few else ""


def _short_gain(metric: str, row: Mapping[str, Any] | None) -> dict[str, float | None]:
    row = row or {}
    return {metric: row.get("gain"), **{name: row.get(name) for name in ("ci_low", "ci_high")}}
