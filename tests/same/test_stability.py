import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pre2post.same.score import SCALINGS, same
from pre2post.same.stability import rank_correlation, selection_frequency, under_each_scaling, without_each_metric

TABLE = {
    "2": {"ssim": 0.9, "mse": 3.0, "mae": 9.0},
    "4": {"ssim": 0.7, "mse": 1.0, "mae": 2.0},
    "6": {"ssim": 0.5, "mse": 2.0, "mae": 1.0},
}
EQUAL = {"ssim": 1.0, "mse": 1.0, "mae": 1.0}
NUMBERS = st.lists(st.integers(0, 8), min_size=3, max_size=8)


def test_excluding_each_metric_by_hand():
    """Scaled ssim, mse, mae: 0, 1, 1 of epoch 2; 0.5, 0, 0.125 of epoch 4; 1, 0.5, 0 of epoch 6."""
    assert without_each_metric(TABLE, EQUAL, "minmax") == {"ssim": "4", "mse": "4", "mae": "4"}
    assert without_each_metric(TABLE, {"ssim": 3.0, "mse": 1.0, "mae": 1.0}, "minmax") == {
        "ssim": "4",
        "mse": "2",
        "mae": "2",
    }


def test_metrics_without_weight_are_not_excluded_again():
    assert without_each_metric(TABLE, {"ssim": 1.0, "mse": 0.0, "mae": 1.0}, "minmax") == {"ssim": "6", "mae": "2"}
    assert without_each_metric(TABLE, {"ssim": 0.0, "mse": 1.0, "mae": 0.0}, "minmax") == {}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_excluding_equals_a_weight_of_0_with_any_scaling(scaling):
    weights = {"ssim": 1.0, "mse": 0.3, "mae": 2.0}
    for metric, epoch in without_each_metric(TABLE, weights, scaling).items():
        rest = {name: weight for name, weight in weights.items() if name != metric}
        assert epoch == same(TABLE, rest, scaling).best


def test_scalings_select_different_checkpoints():
    """With max an outlier compresses the other values; with zscore it determines the SD."""
    table = {"a": {"mse": 0.0, "mae": 102.0}, "b": {"mse": 1.0, "mae": 100.0}, "c": {"mse": 4.0, "mae": 101.0}}
    found = under_each_scaling(table, {"mse": 1.0, "mae": 1.1})
    assert found == {scaling: same(table, {"mse": 1.0, "mae": 1.1}, scaling).best for scaling in SCALINGS}
    assert list(found) == list(SCALINGS)
    assert (found["minmax"], found["max"]) == ("b", "a")


def resampled(*rows):
    """Return checkpoints a, b, ... with their mse in each resample."""
    return {name: {"mse": np.array(row, float)} for name, row in zip("abc", rows, strict=False)}


def test_selections_are_counted_over_the_resamples():
    found = selection_frequency(resampled([1, 2, 3, 1], [2, 1, 1, 2], [3, 3, 2, 3]), {"mse": 1}, "minmax")
    assert found == {"a": 0.5, "b": 0.5, "c": 0}


def test_of_equal_scores_the_first_is_selected():
    assert selection_frequency(resampled([1, 1, 2, 5], [1, 2, 2, 1]), {"mse": 1}, "minmax") == {"a": 0.75, "b": 0.25}


def test_each_resample_is_scaled_separately():
    """In the first resample the mse are equal and mae decides, whatever the mse in the second resample."""
    tables = {
        "a": {"mse": np.array([5.0, 0.0]), "mae": np.array([2.0, 2.0])},
        "b": {"mse": np.array([5.0, 900.0]), "mae": np.array([1.0, 1.0])},
    }
    assert selection_frequency(tables, {"mse": 3, "mae": 1}, "minmax") == {"a": 0.5, "b": 0.5}


def test_a_checkpoint_without_a_finite_value_is_not_selected_in_that_resample():
    assert selection_frequency(resampled([0, np.nan, 0], [1, 1, 1]), {"mse": 1}, "minmax") == pytest.approx(
        {"a": 2 / 3, "b": 1 / 3}
    )


@given(st.integers(0, 2**31), st.sampled_from(SCALINGS))
def test_frequencies_sum_up_to_1(seed, scaling):
    rng = np.random.default_rng(seed)
    tables = {name: {"ssim": rng.random(7), "mse": rng.random(7)} for name in "abcd"}
    found = selection_frequency(tables, {"ssim": 1, "mse": 1}, scaling)
    assert list(found) == list(tables)
    assert sum(found.values()) == pytest.approx(1)


@given(NUMBERS, st.integers(0, 2**31))
def test_correlation_equals_scipys_spearman(numbers, seed):
    others = np.random.default_rng(seed).integers(0, 8, len(numbers))
    scores, other = ({str(i): float(value) for i, value in enumerate(values)} for values in (numbers, others))
    found = rank_correlation(scores, other)
    if len(set(numbers)) == 1 or len(set(others)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(numbers, others).statistic)


def test_correlation_is_1_if_a_better_same_is_lower_in_the_other_score():
    scores = {"2": 0.1, "4": 0.5, "6": 0.7, "8": 0.9}
    assert rank_correlation(scores, {"2": 1, "4": 10, "6": 11, "8": 1000}) == pytest.approx(1)
    assert rank_correlation(scores, {"2": 0.9, "4": 0.8, "6": 0.5, "8": 0.1}) == pytest.approx(-1)


def test_correlation_is_over_the_checkpoints_that_have_both():
    scores = {"2": 0.1, "4": 0.5, "6": 0.7, "8": 0.9}
    other = {"8": 4.0, "6": 3.0, "4": None, "2": 2.0, "10": -5.0}
    assert rank_correlation(scores, other) == pytest.approx(1)
    assert rank_correlation(scores, {"2": 1.0, "4": 2.0, "6": None}) is None
    assert rank_correlation(scores, {}) is None


@pytest.mark.parametrize(("scores", "other"), [([1, 2, 3], [5, 5, 5]), ([5, 5, 5], [1, 2, 3])])
def test_a_constant_has_no_correlation(scores, other):
    assert rank_correlation(dict(zip("abc", scores, strict=True)), dict(zip("abc", other, strict=True))) is None
