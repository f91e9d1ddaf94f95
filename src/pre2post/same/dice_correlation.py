"""The correlation of SAMe with the Dice of a segmenter over the checkpoints of the generator.

Checkpoints of one training are not an independent sample: most metrics improve with every epoch, and the Dice may too.
Therefore the epoch is one of the scores, and intervals are over patients only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pre2post.core.files import rounded
from pre2post.same.stability import rank_correlation
from pre2post.stats.bootstrap import resample_patients
from pre2post.stats.correlation import standard_ranks
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, summarise
from pre2post.stats.tables import interval_options

SAME = "same"
LATER = "epoch"  # the epoch as a score: a later checkpoint is better

Scores = Mapping[str, Mapping[str, float]]  # score -> checkpoint -> value, lower being better
Dice = Mapping[str, Mapping[str, float]]  # checkpoint -> patient -> Dice


def read_scores(table: Sequence[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """Read the scores of the compared checkpoints, lower is better, from the rows of plots/same.csv.

    The scores are SAMe, each scaled metric, the lesion error if there is one, and the negative epoch.
    """
    rows = [row for row in table if row[SAME]]
    scaled = [name for name in table[0] if name.startswith("scaled_")]
    found = {
        name: {row["epoch"]: float(row[name]) for row in rows}
        for name in (SAME, *scaled, "lesion_mae")
        if all(row[name] for row in rows)
    }
    return found | {LATER: {row["epoch"]: -float(row["epoch"]) for row in rows}}


def dice_rows(scores: Scores, dice: Dice, options: StatisticsParams, seed: Seed) -> list[dict[str, Any]]:
    """Return a row per checkpoint: epoch, SAMe, scaled metrics, mean Dice with its interval over patients, and n."""
    rows = []
    for epoch, own in dice.items():
        found = summarise(list(own.values()), **interval_options(options, seed))
        rows.append(
            {
                "epoch": epoch,
                **{
                    name: rounded(values[epoch])
                    for name, values in scores.items()
                    if name == SAME or name.startswith("scaled_")
                },
                "dice": rounded(found["mean"]),
                "ci_low": rounded(found["ci_low"]),
                "ci_high": rounded(found["ci_high"]),
                "n": found["n"],
            }
        )
    return rows


def correlation_rows(scores: Scores, dice: Dice, options: StatisticsParams, seed: Seed) -> list[dict[str, Any]]:
    """Return a row per score: its Spearman correlation with the mean Dice over the checkpoints.

    1 means that a checkpoint with a better score always has a higher Dice. The correlation is None, with a note, for
    fewer than 3 checkpoints or a constant score or Dice.
    ci_low, ci_high: percentile bootstrap interval; patients are resampled, the scores are fixed. Resamples in which all
        checkpoints have the same Dice are excluded. None for fewer than `min_patients` patients.
    n: number of checkpoints.
    """
    means = {epoch: -float(np.mean(list(own.values()))) for epoch, own in dice.items()}
    patients = len(next(iter(dice.values()), ()))
    resampled = _resampled_means(dice, options.n_resamples, seed) if patients >= options.min_patients else None
    rows = []
    for name, values in scores.items():
        found = rank_correlation(values, means)
        low, high = None, None
        if found is not None and resampled is not None:
            low, high = _interval(values, dice, resampled, options.confidence_level)
        rows.append(
            {
                "metric": name,
                "spearman": rounded(found),
                "ci_low": rounded(low),
                "ci_high": rounded(high),
                "n": len(dice),
                "note": _note(found, len(dice), patients, options),
            }
        )
    return rows


def summary(
    evaluator: str, rows: Sequence[Mapping[str, Any]], correlations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of metrics/same_dice.json, from the tables of dice_rows() and correlation_rows().

    epoch: the checkpoints selected by SAMe and by Dice, of equals the first.
    dice: their mean Dice.
    regret: the difference. It is never negative, so by chance it is slightly too large.
    """
    ours, best = min(rows, key=lambda row: row[SAME]), max(rows, key=lambda row: row["dice"])
    return {
        "evaluator": evaluator,
        "epoch": {SAME: int(ours["epoch"]), "dice": int(best["epoch"])},
        "dice": {SAME: ours["dice"], "dice": best["dice"]},
        "regret": rounded(best["dice"] - ours["dice"]),
        "spearman": {row["metric"]: row["spearman"] for row in correlations},
        "checkpoints": len(rows),
        "patients": rows[0]["n"],
    }


def _resampled_means(dice: Dice, n_resamples: int, seed: Seed) -> np.ndarray:
    """Return the mean Dice (n_resamples, checkpoints) over resampled patients, the same for every checkpoint."""
    values = np.array([list(own.values()) for own in dice.values()])
    return resample_patients(values.shape[1], n_resamples, seed) @ values.T / values.shape[1]


def _interval(
    values: Mapping[str, float], dice: Dice, resampled: np.ndarray, confidence_level: float
) -> tuple[float, float]:
    differ = np.ptp(resampled, axis=1) > 0
    found = -standard_ranks(resampled[differ]) @ standard_ranks(np.array([values[epoch] for epoch in dice]))
    low, high = np.quantile(found, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(low), float(high)


def _note(found: float | None, checkpoints: int, patients: int, options: StatisticsParams) -> str:
    """Return the reason why a row lacks some of its numbers."""
    if checkpoints < 3:
        return f"{checkpoints} checkpoint{'s' * (checkpoints != 1)}: no correlation with fewer than 3"
    if found is None:
        return "the score or the Dice is the same for all checkpoints"
    if patients < options.min_patients:
        return f"{patients} patient{'s' * (patients != 1)}: no interval with fewer than {options.min_patients}"
    return ""
