import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pre2post.stats.correlation import spearman, standard_ranks


def correlate(x, y, min_patients=5, seed=0):
    return spearman(x, y, 0.9, 200, seed, min_patients)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12))
def test_correlation_is_scipys(pairs):
    x, y = zip(*pairs, strict=True)
    found = correlate(x, y, min_patients=99)
    assert found["n"] == len(pairs) and found["ci_low"] is None
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found["spearman"] is None
    else:
        assert found["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


def test_the_interval_is_that_of_resampled_patients_and_repeats_with_the_seed():
    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = correlate(x, y, seed=[1, 2])
    drawn = np.random.default_rng([1, 2]).integers(40, size=(200, 40))
    wanted = np.quantile([stats.spearmanr(x[one], y[one]).statistic for one in drawn], [0.05, 0.95])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(wanted))
    assert found["ci_low"] < found["spearman"] < found["ci_high"]
    assert correlate(x, y, seed=[1, 2]) == found


def test_resamples_with_a_constant_side_are_left_out():
    found = correlate([0, 0, 0, 0, 1], [1, 2, 3, 4, 9])
    assert np.isfinite([found["ci_low"], found["ci_high"]]).all()


def test_patients_with_missing_values_are_dropped():
    x, y = [1, 2, None, 4, 5, 3], [2, 1, 9, 5, None, 3]
    assert correlate(x, y, 4) == correlate([1, 2, 4, 3], [2, 1, 5, 3], 4)
    assert correlate(x, y, 4)["n"] == 4
    assert correlate(x, y, 5)["ci_low"] is None
    assert correlate([1, None, 2], [1, 2, 3], 2) == {"spearman": None, "ci_low": None, "ci_high": None, "n": 2}
    assert correlate([], [], 2)["n"] == 0


def test_no_correlation_is_exactly_0():
    x, y = [0, 1, 2, 3], [1, 3, 0, 2]
    assert f"{correlate(x, y)['spearman']}" == "0.0"


def test_products_of_standard_ranks_correlate_every_row():
    rng = np.random.default_rng(0)
    rows, one = rng.integers(0, 5, (6, 9)), rng.random(9)
    wanted = [stats.spearmanr(row, one).statistic for row in rows]
    np.testing.assert_allclose(standard_ranks(rows) @ standard_ranks(one), wanted, atol=1e-12)
