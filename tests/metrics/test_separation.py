import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pre2post.metrics.separation import separation

VALUES = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(VALUES, VALUES)
def test_equals_the_area_under_the_curve_of_scikit_learn(inside, outside):
    labels = [1] * len(inside) + [0] * len(outside)
    assert separation(inside, outside) == pytest.approx(roc_auc_score(labels, inside + outside))


def test_a_monotone_change_of_the_grey_levels_changes_nothing():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, (3, 4)), rng.normal(0, 1, 50)
    assert separation(np.exp(inside), np.exp(outside)) == separation(inside, outside)


@pytest.mark.parametrize(("inside", "outside"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0])])
def test_empty_sides_and_values_that_are_not_finite_are_refused(inside, outside, refused):
    refused(lambda: separation(inside, outside), "not defined")
