import json

import numpy as np
import pytest
from scipy import stats

from pre2post.same.dice_correlation import correlation_rows, dice_rows, read_scores, summary
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import summarise

OPTIONS = StatisticsParams(confidence_level=0.9, n_resamples=500, min_patients=5, margin_dice=0.05)
EPOCHS = ("2", "4", "6", "8", "10")
TABLE = [
    {
        "epoch": epoch,
        "same": str(same),
        "selection_frequency": "0",
        "lesion_mae": str(error),
        "mae": "7",
        "scaled_ssim": str(ssim),
        "scaled_mse": str(mse),
    }
    for epoch, same, error, ssim, mse in zip(
        EPOCHS, (1.0, 0.6, 0.2, 0.1, 0.0), (3, 2, 9, 1, 0.5), (1, 0.5, 0.4, 0.2, 0), (0, 0.1, 0.2, 0.3, 1), strict=True
    )
]


def dice_of(patients=8, seed=0, gain=0.05):
    """Return checkpoint -> patient -> Dice, which grows by `gain` per checkpoint, with noise."""
    rng = np.random.default_rng(seed)
    return {
        epoch: {f"p{case}": 0.3 + gain * place + 0.1 * rng.random() for case in range(patients)}
        for place, epoch in enumerate(EPOCHS)
    }


def by_metric(rows):
    return {row["metric"]: row for row in rows}


def test_scores_are_those_of_the_compared_checkpoints_and_lower_is_better():
    broken = {**TABLE[0], "epoch": "12", "same": "", "scaled_ssim": "", "scaled_mse": ""}
    scores = read_scores([*TABLE, broken])
    assert list(scores) == ["same", "scaled_ssim", "scaled_mse", "lesion_mae", "epoch"]
    assert all(tuple(values) == EPOCHS for values in scores.values())
    assert scores["same"]["4"] == 0.6 and scores["lesion_mae"]["6"] == 9 and scores["epoch"]["10"] == -10


def test_without_a_lesion_there_is_no_lesion_error():
    assert "lesion_mae" not in read_scores([{**row, "lesion_mae": ""} for row in TABLE])


def test_1_means_that_a_better_score_gives_a_higher_dice():
    scores, better = read_scores(TABLE), dice_of(gain=0.2)
    found = by_metric(correlation_rows(scores, better, OPTIONS, 0))
    assert {name: found[name]["spearman"] for name in ("same", "scaled_ssim", "scaled_mse", "epoch")} == {
        "same": 1,
        "scaled_ssim": 1,
        "scaled_mse": -1,
        "epoch": 1,
    }
    worse = {epoch: {case: 1 - value for case, value in own.items()} for epoch, own in better.items()}
    assert by_metric(correlation_rows(scores, worse, OPTIONS, 0))["same"]["spearman"] == -1


def test_correlation_equals_scipys_over_the_mean_dice():
    scores, dice = read_scores(TABLE), dice_of(gain=0)
    means = [np.mean(list(own.values())) for own in dice.values()]
    for row in correlation_rows(scores, dice, OPTIONS, 0):
        wanted = -stats.spearmanr(list(scores[row["metric"]].values()), means).statistic
        assert row["spearman"] == pytest.approx(wanted, abs=1e-5)
        assert (row["n"], row["note"]) == (5, "")
        assert -1 <= row["ci_low"] <= row["spearman"] <= row["ci_high"] <= 1


def test_the_interval_agrees_with_scipys_bootstrap_over_patients():
    scores, dice = read_scores(TABLE), dice_of(12, gain=0.01)
    values, same = np.array([list(own.values()) for own in dice.values()]), list(scores["same"].values())

    def correlate(*patients):
        return -stats.spearmanr(same, np.array(patients).mean(axis=1)).statistic

    wanted = stats.bootstrap(
        tuple(values),
        correlate,
        paired=True,
        vectorized=False,
        n_resamples=500,
        confidence_level=0.9,
        method="percentile",
        rng=1,
    ).confidence_interval
    found = by_metric(correlation_rows(scores, dice, OPTIONS, 0))["same"]
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((wanted.low, wanted.high), abs=0.15)
    assert found["ci_low"] < found["ci_high"]


def test_the_interval_has_no_width_if_all_patients_agree():
    found = by_metric(correlation_rows(read_scores(TABLE), dice_of(gain=0.2), OPTIONS, 0))["same"]
    assert (found["ci_low"], found["ci_high"]) == (1, 1)


def test_few_patients_have_no_interval():
    for row in correlation_rows(read_scores(TABLE), dice_of(4), OPTIONS, 0):
        assert row["spearman"] is not None and (row["ci_low"], row["ci_high"]) == (None, None)
        assert row["note"] == "4 patients: no interval with fewer than 5"


@pytest.mark.parametrize(("checkpoints", "note"), [(1, "1 checkpoint:"), (2, "2 checkpoints:")])
def test_few_checkpoints_have_no_correlation(checkpoints, note):
    dice = dict(list(dice_of().items())[:checkpoints])
    for row in correlation_rows(read_scores(TABLE[:checkpoints]), dice, OPTIONS, 0):
        assert (row["spearman"], row["ci_low"], row["n"]) == (None, None, checkpoints) and note in row["note"]


def test_a_constant_dice_has_no_correlation():
    dice = {epoch: dict.fromkeys("abcdef", 0.0) for epoch in EPOCHS}
    for row in correlation_rows(read_scores(TABLE), dice, OPTIONS, 0):
        assert (row["spearman"], row["ci_low"]) == (None, None) and "same for all" in row["note"]


def test_resamples_without_a_difference_are_excluded():
    """Only one patient distinguishes the checkpoints; about a third of the resamples of six miss this patient."""
    dice = {epoch: {**dict.fromkeys("abcde", 0.0), "f": 0.1 * place} for place, epoch in enumerate(EPOCHS)}
    found = by_metric(correlation_rows(read_scores(TABLE), dice, OPTIONS, 0))["same"]
    assert (found["spearman"], found["ci_low"], found["ci_high"]) == (1, 1, 1)


def test_a_row_per_checkpoint():
    scores, dice = read_scores(TABLE), dice_of()
    rows = dice_rows(scores, dice, OPTIONS, 3)
    assert [list(row) for row in rows] == [
        ["epoch", "same", "scaled_ssim", "scaled_mse", "dice", "ci_low", "ci_high", "n"]
    ] * len(EPOCHS)
    for row in rows:
        wanted = summarise(list(dice[row["epoch"]].values()), 0.9, 500, 3, 5)
        assert [row[name] for name in ("dice", "ci_low", "ci_high", "n")] == pytest.approx(
            [wanted[name] for name in ("mean", "ci_low", "ci_high", "n")], rel=1e-5
        )
    assert dice_rows(scores, {}, OPTIONS, 3) == []


def test_the_summary_compares_both_selections():
    scores, dice = read_scores(TABLE), dice_of()
    dice["4"] = dict.fromkeys(dice["4"], 0.9)
    rows, correlations = dice_rows(scores, dice, OPTIONS, 3), correlation_rows(scores, dice, OPTIONS, 3)
    found = summary("post", rows, correlations)
    assert (found["evaluator"], found["epoch"], found["checkpoints"], found["patients"]) == (
        "post",
        {"same": 10, "dice": 4},
        5,
        8,
    )
    assert found["dice"] == {"same": rows[4]["dice"], "dice": 0.9}
    assert found["regret"] == pytest.approx(0.9 - rows[4]["dice"])
    assert found["spearman"] == {row["metric"]: row["spearman"] for row in correlations}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
