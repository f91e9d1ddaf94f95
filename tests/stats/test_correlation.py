from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pre2post.stats.correlation import spearman, standard_ranks


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12))
def test_correlation_is_scipys(pairs):
    x, y = zip(*pairs, strict=True)
    found = spearman(x, y, 0, min_patients=99)
    assert found["n"] == len(pairs) and found["p"] is None
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found["spearman"] is None
    else:
        assert found["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


@pytest.mark.parametrize("y", [[1, 2, 4, 3, 5, 6], [3, 1, 2, 6, 4, 5], [2, 2, 1, 5, 5, 4]])
def test_p_of_few_patients_is_the_share_of_all_permutations(y):
    x = range(6)
    observed = stats.spearmanr(x, y).statistic
    every = np.array([stats.spearmanr(x, order).statistic for order in permutations(y)])
    wanted = min(1, 2 * min((every >= observed - 1e-12).mean(), (every <= observed + 1e-12).mean()))
    assert spearman(x, y, 0, 5)["p"] == pytest.approx(wanted)


def test_p_of_more_patients_comes_near_scipys_and_repeats_with_the_seed():
    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    y = x + 2.5 * rng.normal(size=40)
    found = spearman(x, y, [1, 2], 5)
    assert found["p"] == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)
    assert spearman(x, y, [1, 2], 5) == found


def test_patients_with_missing_values_are_dropped():
    x, y = [1, 2, None, 4, 5, 3], [2, 1, 9, 5, None, 3]
    assert spearman(x, y, 0, 4) == spearman([1, 2, 4, 3], [2, 1, 5, 3], 0, 4)
    assert spearman(x, y, 0, 4)["n"] == 4
    assert spearman(x, y, 0, 5)["p"] is None
    assert spearman([1, None, 2], [1, 2, 3], 0, 2) == {"spearman": None, "p": None, "n": 2}
    assert spearman([], [], 0, 2)["n"] == 0


def test_no_correlation_is_exactly_0():
    x, y = [0, 1, 2, 3], [1, 3, 0, 2]
    assert f"{spearman(x, y, 0, 5)['spearman']}" == "0.0"


def test_products_of_standard_ranks_correlate_every_row():
    rng = np.random.default_rng(0)
    rows, one = rng.integers(0, 5, (6, 9)), rng.random(9)
    wanted = [stats.spearmanr(row, one).statistic for row in rows]
    np.testing.assert_allclose(standard_ranks(rows) @ standard_ranks(one), wanted, atol=1e-12)
