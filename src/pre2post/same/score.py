"""Scaled Aggregate Measure (SAMe): one number per checkpoint from several metrics, for the selection of a checkpoint.

arXiv 2311.10879 scales {SSIM, MSE, MAE, FID_Img, FID_Rad} over checkpoints to [0, 1], averages them and selects the
best. It gives neither formula nor code: min-max over the compared checkpoints, inverted similarities and equal weights
are our interpretation. The other scalings and weights test the stability of the choice. For checkpoints c and metrics m
with values v(c, m) and weights w(m):

    minmax   s(c, m) = (v(c, m) - min_c v) / (max_c v - min_c v)
    max      s(c, m) = v(c, m) / max_c |v|
    zscore   s(c, m) = (v(c, m) - mean_c v) / SD_c v          (population SD)

Similarities (higher is better) are inverted: 1 - s, for zscore -s. Then

    SAMe(c) = sum_m w(m) s(c, m) / sum_m w(m)

and the lowest is best. With minmax, s is 0 for the best and 1 for the worst compared checkpoint. The score therefore
depends on the set of checkpoints: it ranks them and is not comparable between tables.

Special cases, each reported in a note: a metric with equal values contributes 0 to every checkpoint; a single
checkpoint has score 0; a checkpoint with a value that is not finite is excluded from the comparison.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError

SCALINGS = ("minmax", "max", "zscore")
SIMILARITIES = frozenset({"ssim", "ms_ssim", "psnr", "dice"})  # higher is better; others are errors or distances
EQUAL = 1e-12  # relative spread below which values differ by rounding only


@dataclass(frozen=True)
class Same:
    """Scores (lowest is best) and scaled metrics of the compared checkpoints, the selected one, and notes."""

    scores: dict[str, float]
    components: dict[str, dict[str, float]]
    best: str
    notes: list[str]


def same(
    table: Mapping[str, Mapping[str, float]],
    weights: Mapping[str, float],
    scaling: str = "minmax",
    similarities: Collection[str] = SIMILARITIES,
) -> Same:
    """Compute SAMe; of equal scores the first checkpoint in the table is selected.

    table: checkpoint -> metric -> value. Metrics without a weight are ignored.
    weights: metric -> number >= 0; 0 excludes the metric.
    scaling: one of SCALINGS.
    similarities: metrics for which higher is better.

    Raises InputError for an empty table, a missing value (naming checkpoint and metric), no checkpoint with finite
    values, or an invalid weight or scaling.
    """
    metrics = _weighted(weights)
    if scaling not in SCALINGS:
        raise InputError("unknown scaling of SAMe", found=scaling, expected=", ".join(SCALINGS))
    if not table:
        raise InputError("there is no checkpoint to select", hint="train at least gan.checkpoint_every_epochs epochs")
    every = {name: [_value(table, name, metric) for metric in metrics] for name in table}
    finite = {name: row for name, row in every.items() if np.isfinite(row).all()}
    notes = [_excluded(name, metrics, row) for name, row in every.items() if name not in finite]
    if not finite:
        raise InputError(
            "no checkpoint can be compared",
            found="; ".join(notes),
            expected="finite numbers",
            hint="train again, or set same.weights of the metric to 0",
        )
    values, names = np.array(list(finite.values())), list(finite)
    scaled = np.stack(
        [_scaled(column, scaling, metric in similarities) for metric, column in zip(metrics, values.T, strict=True)],
        axis=1,
    )
    share = np.array([weights[metric] for metric in metrics], dtype=float)
    scores = scaled @ (share / share.sum())
    components = {
        name: dict(zip(metrics, map(float, row), strict=True)) for name, row in zip(names, scaled, strict=True)
    }
    return Same(
        dict(zip(names, map(float, scores), strict=True)),
        components,
        names[int(np.argmin(scores))],
        notes + _notes(names, metrics, values),
    )


def _weighted(weights: Mapping[str, float]) -> list[str]:
    """Return the metrics with a weight above 0."""
    bad = {metric: weight for metric, weight in weights.items() if not (np.isfinite(weight) and weight >= 0)}
    if bad or not any(weights.values()):
        raise InputError(
            "the weights of SAMe cannot be used",
            found=bad or dict(weights),
            expected="numbers of at least 0, one of them above 0",
        )
    return [metric for metric, weight in weights.items() if weight > 0]


def _value(table: Mapping[str, Mapping[str, float]], checkpoint: str, metric: str) -> float:
    value = table[checkpoint].get(metric)
    if value is None:
        raise InputError(
            f"checkpoint {checkpoint} has no {metric}", expected="a number", hint="set same.weights of the metric to 0"
        )
    return float(value)


def _excluded(name: str, metrics: list[str], row: list[float]) -> str:
    metric, value = next((metric, value) for metric, value in zip(metrics, row, strict=True) if not np.isfinite(value))
    return f"checkpoint {name} is excluded: its {metric} is {value}"


def _scaled(column: np.ndarray, scaling: str, similarity: bool) -> np.ndarray:
    """Scale one metric's values over the checkpoints; lower is better."""
    if _all_equal(column):
        return np.zeros_like(column)
    if scaling == "minmax":
        part = (column - column.min()) / (column.max() - column.min())
    elif scaling == "max":
        part = column / np.abs(column).max()
    else:
        return (column - column.mean()) / column.std() * (-1 if similarity else 1)
    return 1 - part if similarity else part


def _all_equal(column: np.ndarray) -> bool:
    return bool(np.ptp(column) <= EQUAL * np.abs(column).max())


def _notes(names: list[str], metrics: list[str], values: np.ndarray) -> list[str]:
    if len(names) == 1:
        return [f"{names[0]} is the only checkpoint: no comparison, every component is 0"]
    return [
        f"{metric} is the same for all checkpoints and contributes 0"
        for metric, column in zip(metrics, values.T, strict=True)
        if _all_equal(column)
    ]
