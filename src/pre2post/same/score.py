"""Scaled Aggregate Measure (SAMe): one number per checkpoint out of several metrics, to choose the checkpoint by.

Idea: arXiv 2311.10879 scales {SSIM, MSE, MAE, FID_Img, FID_Rad} over checkpoints to [0, 1], averages them and selects
by the result. Neither formula nor code was published: min-max over the checkpoints compared, similarities inverted and
equal weights are our reading; the other scalings and weights are there to see how firm the choice is. For the
checkpoints c and metrics m with values v(c, m) and weights w(m):

    minmax   s(c, m) = (v(c, m) - min_c v) / (max_c v - min_c v)
    max      s(c, m) = v(c, m) / max_c |v|
    zscore   s(c, m) = (v(c, m) - mean_c v) / SD_c v          (population SD)

Similarities (higher is better) are turned round: 1 - s, for zscore -s. Then SAMe(c) = sum_m w(m) s(c, m) / sum_m
w(m), and the lowest is best. With minmax each s is 0 for the best and 1 for the worst checkpoint compared, so the
score depends on the company: it ranks these checkpoints and means nothing beside another table.

Degenerate columns: equal values say nothing about the order and contribute 0 to every checkpoint (so does everything
when there is one checkpoint, whose score is 0); a checkpoint with a value that is not finite is left out of the
comparison, as if it had not been given. Each of these is said in a note.
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
    """Scores (lowest is best) and scaled parts of each compared checkpoint, the chosen one, notes on odd columns."""

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
    """SAMe of a table checkpoint -> metric -> value under weights metric -> number >= 0 (0 leaves the metric out).

    Of equal scores the first checkpoint in the table's order wins. Metrics of the table without a weight are ignored.
    Raises InputError for an empty table, a missing value (checkpoint and metric named), no checkpoint with finite
    values, a bad weight or scaling.
    """
    metrics = _weighted(weights)
    if scaling not in SCALINGS:
        raise InputError("unknown scaling of SAMe", found=scaling, expected=", ".join(SCALINGS))
    if not table:
        raise InputError(
            "there is no checkpoint to choose from", hint="train at least gan.checkpoint_every_epochs epochs"
        )
    every = {name: [_value(table, name, metric) for metric in metrics] for name in table}
    finite = {name: row for name, row in every.items() if np.isfinite(row).all()}
    notes = [_left_out(name, metrics, row) for name, row in every.items() if name not in finite]
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
    """The metrics that count."""
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


def _left_out(name: str, metrics: list[str], row: list[float]) -> str:
    metric, value = next((metric, value) for metric, value in zip(metrics, row, strict=True) if not np.isfinite(value))
    return f"checkpoint {name} is left out: its {metric} is {value}"


def _scaled(column: np.ndarray, scaling: str, similarity: bool) -> np.ndarray:
    """One metric's values over the checkpoints, scaled, lower is better."""
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
        return [f"{names[0]} is the only checkpoint: nothing to compare, every component is 0"]
    return [
        f"{metric} is the same for all checkpoints and contributes 0"
        for metric, column in zip(metrics, values.T, strict=True)
        if _all_equal(column)
    ]
