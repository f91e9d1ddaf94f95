"""The table of a group of patients out of one row a patient, method and region: means, and gains over the floors."""

from collections.abc import Mapping, Sequence

import numpy as np

from quality.statistics import Seed, paired

METHODS = ("synthetic", "pre", "lut")  # the generator, then the floors: untouched pre, and its grey-level look-up table
REGIONS = ("whole", "breast", "lesion")
SHOWN = ("mae", "mse", "psnr", "ssim")


def group_table(rows: Sequence[Mapping], confidence: float, draws: int, seed: Seed, min_patients: int) -> dict:
    """{"n", region: {method: {metric: mean over patients}, "gain_over_<floor>": {"mae", "low", "high", "p"}}}.

    rows: one mapping a patient, method and region with "case", "method", "region" and the metrics SHOWN.
    A gain is the floor's MAE minus the synthetic image's, paired by patient: positive where the synthetic one is
    better; low and high bound its mean, p is Wilcoxon's. The keys are always the same; None stands for no patient, too
    few for an interval, or the mean of an infinite PSNR.
    """
    table: dict = {"n": len({row["case"] for row in rows})}
    for region in REGIONS:
        here = [row for row in rows if row["region"] == region]
        values = {method: [row for row in here if row["method"] == method] for method in METHODS}
        table[region] = {method: {metric: _mean([row[metric] for row in values[method]]) for metric in SHOWN}
                         for method in METHODS}
        for floor in METHODS[1:]:
            gain = paired(*_by_patient(values[floor], values["synthetic"]), confidence, draws, seed, min_patients)
            table[region][f"gain_over_{floor}"] = {
                "mae": rounded(gain["mean"]), **{key: rounded(gain[key]) for key in ("low", "high", "p")}}
    return table


def rounded(value: float | None) -> float | None:
    """Six digits, so that another machine's rounding does not show in a diff."""
    return None if value is None else float(f"{value:.6g}")


def _by_patient(*sides: Sequence[Mapping]) -> list[list[float]]:
    """MAE of each side's rows in the order of the cases, so that the same patients stand beside each other."""
    return [[row["mae"] for row in sorted(side, key=lambda row: row["case"])] for side in sides]


def _mean(values: Sequence[float]) -> float | None:
    return rounded(float(np.mean(values))) if values and np.isfinite(values).all() else None
