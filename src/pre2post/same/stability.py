"""How firm the choice by SAMe is: other metrics, other scalings, other patients, and what the score goes along with."""

from collections.abc import Mapping

import numpy as np

from pre2post.same.score import SCALINGS, same
from pre2post.stats import correlation

Table = Mapping[str, Mapping[str, float]]


def without_each_metric(table: Table, weights: Mapping[str, float], scaling: str) -> dict[str, str]:
    """Metric -> the checkpoint that wins when it is left out; nothing where only one metric counts."""
    used = [metric for metric, weight in weights.items() if weight > 0]
    return {metric: same(table, {**weights, metric: 0.0}, scaling).best for metric in used} if len(used) > 1 else {}


def under_each_scaling(table: Table, weights: Mapping[str, float]) -> dict[str, str]:
    """Scaling -> the checkpoint that wins under it."""
    return {scaling: same(table, weights, scaling).best for scaling in SCALINGS}


def win_shares(
    drawn: Mapping[str, Mapping[str, np.ndarray]], weights: Mapping[str, float], scaling: str
) -> dict[str, float]:
    """Checkpoint -> share of the draws of patients (checkpoint -> metric -> (draws,)) in which it wins."""
    draws = len(next(iter(next(iter(drawn.values())).values())))
    tables = (
        {name: {metric: values[draw] for metric, values in metrics.items()} for name, metrics in drawn.items()}
        for draw in range(draws)
    )
    winners = [same(table, weights, scaling).best for table in tables]
    return {name: winners.count(name) / draws for name in drawn}


def rank_correlation(scores: Mapping[str, float], other: Mapping[str, float | None]) -> float | None:
    """Spearman's rank correlation over the checkpoints that have both; None for fewer than 3, or where one is constant.

    1: what SAMe calls better is lower in `other` too.
    """
    return correlation.rank_correlation(list(scores.values()), [other.get(name) for name in scores])
