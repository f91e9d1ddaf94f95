"""Whether SAMe ranks checkpoints of the generator as a segmenter does: its correlation with the Dice they give.

Checkpoints of one training are no independent sample: most metrics get better with every epoch, and so may the Dice. So
the epoch itself stands among the scores, and intervals are over patients only.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pre2post.core.numbers import rounded
from pre2post.same.stability import rank_correlation
from pre2post.stats.bootstrap import draw_patients
from pre2post.stats.correlation import standard_ranks
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, summarise
from pre2post.stats.tables import interval_options

SAME = "same"
LATER = "epoch"  # as a score: what comes later in the training is better

Scores = Mapping[str, Mapping[str, float]]  # score -> checkpoint -> value, lower being better
Dice = Mapping[str, Mapping[str, float]]  # checkpoint -> patient -> Dice


def read_scores(table: Sequence[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """The scores of the compared checkpoints, lower being better, out of plots/same.csv: SAMe, each of its scaled
    parts, the error in the lesion where there is one, and the negative epoch."""
    rows = [row for row in table if row[SAME]]
    scaled = [name for name in table[0] if name.startswith("scaled_")]
    found = {
        name: {row["epoch"]: float(row[name]) for row in rows}
        for name in (SAME, *scaled, "lesion_mae")
        if all(row[name] for row in rows)
    }
    return found | {LATER: {row["epoch"]: -float(row["epoch"]) for row in rows}}


def dice_rows(scores: Scores, dice: Dice, options: StatisticsParams, seed: Seed) -> list[dict]:
    """A row each checkpoint: epoch, SAMe and its scaled parts, mean Dice with its interval over patients, and n."""
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


def correlation_rows(scores: Scores, dice: Dice, options: StatisticsParams, seed: Seed) -> list[dict]:
    """A row each score: Spearman's correlation over the checkpoints with the mean Dice; 1: what the score calls better
    segments better, whichever way it points.

    low, high: percentile bootstrap interval over patients, who are drawn anew while the scores stay; draws in which all
    checkpoints have one Dice are left out, and it is withheld with fewer patients than `min_patients`. n: checkpoints.
    The correlation is None, with a note, for fewer than 3 of them or where the score or the Dice is constant.
    """
    means = {epoch: -float(np.mean(list(own.values()))) for epoch, own in dice.items()}
    patients = len(next(iter(dice.values()), ()))
    drawn = _drawn_means(dice, options.n_resamples, seed) if patients >= options.min_patients else None
    rows = []
    for name, values in scores.items():
        found = rank_correlation(values, means)
        ends = (
            (None, None) if found is None or drawn is None else _interval(values, dice, drawn, options.confidence_level)
        )
        rows.append(
            {
                "metric": name,
                "spearman": rounded(found),
                "ci_low": rounded(ends[0]),
                "ci_high": rounded(ends[1]),
                "n": len(dice),
                "note": _note(found, len(dice), patients, options),
            }
        )
    return rows


def summary(evaluator: str, rows: Sequence[Mapping], correlations: Sequence[Mapping]) -> dict:
    """What metrics/same_dice.json holds, from the tables of dice_rows() and correlation_rows().

    epoch: the checkpoint that each would choose, the first of equals; dice: the mean Dice of either; regret: by how
    much SAMe's choice falls short, which is never below 0 and hence a little too large by chance.
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


def _drawn_means(dice: Dice, draws: int, seed: Seed) -> np.ndarray:
    """Mean Dice (draws, checkpoints) over patients drawn with replacement, the same for every checkpoint."""
    values = np.array([list(own.values()) for own in dice.values()])
    return draw_patients(values.shape[1], draws, seed) @ values.T / values.shape[1]


def _interval(
    values: Mapping[str, float], dice: Dice, drawn: np.ndarray, confidence_level: float
) -> tuple[float, float]:
    differ = np.ptp(drawn, axis=1) > 0
    found = -standard_ranks(drawn[differ]) @ standard_ranks(np.array([values[epoch] for epoch in dice]))
    low, high = np.quantile(found, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(low), float(high)


def _note(found: float | None, checkpoints: int, patients: int, options: StatisticsParams) -> str:
    """Why a row lacks some of its numbers."""
    if checkpoints < 3:
        return f"{checkpoints} checkpoint{'s' * (checkpoints != 1)}: no correlation with fewer than 3"
    if found is None:
        return "the score or the Dice is the same for all checkpoints"
    if patients < options.min_patients:
        return f"{patients} patient{'s' * (patients != 1)}: no interval with fewer than {options.min_patients}"
    return ""
