import numpy as np
import pytest
from scipy import stats

from pre2post.evaluation.primary import PRIMARY, comparison_name, primary_rows
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import holm

OPTIONS = StatisticsParams(confidence_level=0.95, n_resamples=200, min_patients=5, margin_dice=0.1)


def rows_of(shifts, n=20, split="test", seed=0):
    """Return rows with random Dice, shifted by {(mix, phase): number}."""
    rng = np.random.default_rng(seed)
    base = rng.random(n)
    return [
        {"mix": mix, "domain": f"{split}_{phase}", "case": f"c{case}", "dice": base[case] + shift + rng.normal(0, 0.05)}
        for (mix, phase), shift in shifts.items()
        for case in range(n)
    ]


SHIFTS = {
    ("pre", "post1"): 0.0,
    ("pre_synthetic", "post1"): 0.3,
    ("post", "pre"): 0.0,
    ("post_synthetic", "pre"): -0.3,
    ("pre", "pre"): 0.0,
    ("pre_synthetic", "pre"): -0.02,
    ("post", "post1"): 0.0,
    ("post_synthetic", "post1"): -0.2,
}


def test_a_gain_and_no_loss_are_shown_where_they_are_true():
    found = {comparison_name(row): row for row in primary_rows(rows_of(SHIFTS), OPTIONS, 7)}
    assert {name: row["shown"] for name, row in found.items()} == {
        "pre_synthetic_on_post1": 1,
        "post_synthetic_on_pre": 0,  # different, but worse
        "pre_synthetic_on_pre": 1,
        "post_synthetic_on_post1": 0,
    }
    assert found["post_synthetic_on_pre"]["p_holm"] < 0.05
    assert [row["margin"] for row in found.values()] == [None, None, 0.1, 0.1]


def test_p_is_wilcoxons_and_the_four_of_a_split_are_one_family():
    rows = rows_of(SHIFTS) + rows_of(SHIFTS, split="external", seed=1)
    found = primary_rows(rows, OPTIONS, 7)
    assert [row["split"] for row in found] == ["test"] * 4 + ["external"] * 4
    for split in ("test", "external"):
        family = [row for row in found if row["split"] == split]
        assert [row["p_holm"] for row in family] == pytest.approx(holm([row["p"] for row in family]), rel=1e-4)
        for row, comparison in zip(family, PRIMARY, strict=True):
            domain = f"{split}_{row['phase']}"
            mix, baseline = (
                np.array([one["dice"] for one in rows if (one["mix"], one["domain"]) == (name, domain)])
                for name in (comparison.mix, comparison.baseline)
            )
            assert row["difference"] == pytest.approx((mix - baseline).mean(), rel=1e-4)
            wanted = (
                stats.wilcoxon(mix - baseline).pvalue
                if row["question"] == "gain"
                else min(1, 2 * stats.wilcoxon(mix - baseline + 0.1, alternative="greater").pvalue)
            )
            assert row["p"] == pytest.approx(wanted, rel=1e-4)


def test_a_comparison_whose_mixes_were_not_tested_is_left_out():
    rows = [row for row in rows_of(SHIFTS) if row["mix"] != "post_synthetic"]
    assert [row["mix"] for row in primary_rows(rows, OPTIONS, 7)] == ["pre_synthetic"] * 2
    assert primary_rows([], OPTIONS, 7) == []


def test_few_patients_have_no_verdict():
    found = primary_rows(rows_of(SHIFTS, n=3), OPTIONS, 7)
    assert {(row["p"], row["p_holm"], row["shown"]) for row in found} == {(None, None, None)}
