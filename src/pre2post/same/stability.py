"""Stability of the selection by SAMe: other metrics, scalings and patients, and correlation with other scores."""

from collections.abc import Mapping

import numpy as np

from pre2post.same.score import SCALINGS, same
from pre2post.stats import correlation

Table = Mapping[str, Mapping[str, float]]


def without_each_metric(table: Table, weights: Mapping[str, float], scaling: str) -> dict[str, str]:
    """Return the selected checkpoint without each metric, by metric; empty if only one metric has a weight."""
    used = [metric for metric, weight in weights.items() if weight > 0]
    return {metric: same(table, {**weights, metric: 0.0}, scaling).best for metric in used} if len(used) > 1 else {}


def under_each_scaling(table: Table, weights: Mapping[str, float]) -> dict[str, str]:
    """Return the selected checkpoint with each scaling, by scaling."""
    return {scaling: same(table, weights, scaling).best for scaling in SCALINGS}


def selection_frequency(
    resampled: Mapping[str, Mapping[str, np.ndarray]], weights: Mapping[str, float], scaling: str
) -> dict[str, float]:
    """Return for each checkpoint the share of the resamples of patients in which it is selected.

    resampled: checkpoint -> metric -> values (n_resamples,).
    """
    n_resamples = len(next(iter(next(iter(resampled.values())).values())))
    tables = (
        {name: {metric: values[place] for metric, values in metrics.items()} for name, metrics in resampled.items()}
        for place in range(n_resamples)
    )
    selected = [same(table, weights, scaling).best for table in tables]
    return {name: selected.count(name) / n_resamples for name in resampled}


def rank_correlation(scores: Mapping[str, float], other: Mapping[str, float | None]) -> float | None:
    """Return Spearman's correlation over the checkpoints with both scores; None for fewer than 3 or a constant score.

    1: a better (lower) SAMe always means a lower value in `other`.
    """
    return correlation.rank_correlation(list(scores.values()), [other.get(name) for name in scores])
