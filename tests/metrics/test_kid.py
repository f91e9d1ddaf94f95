import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.kid import poly_mmd

from pre2post.metrics.kid import kid


@pytest.mark.parametrize(("n", "d"), [(2, 3), (60, 20), (25, 80)])
@pytest.mark.parametrize("kind", ["float64", "float32", "int16", "uint8"])
def test_equals_torchmetrics(n, d, kind):
    rng = np.random.default_rng(n)
    a, b = ((30 * rng.random((n, d)) + shift).astype(kind) for shift in (0, 5))
    wanted = float(poly_mmd(*(torch.from_numpy(x.astype(np.float64)) for x in (a, b))))
    assert kid(a, b) == pytest.approx(wanted, rel=1e-9)


def test_sets_of_different_sizes_by_hand():
    """One feature: k(x, y) = (x y + 1)^3."""
    a, b = [[0.0], [1.0]], [[1.0], [2.0], [0.0]]
    within_a, within_b = 1, (3**3 + 1 + 1) / 3
    between = (1 + 1 + 1 + 2**3 + 3**3 + 1) / 6
    assert kid(a, b) == pytest.approx(within_a + within_b - 2 * between)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(2, 20))
def test_is_symmetric_and_independent_of_the_order(seed, n, m):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 5)), rng.normal(1, 2, size=(m, 5))
    found = kid(a, b)
    assert kid(b, a) == pytest.approx(found, rel=1e-9, abs=1e-12)
    assert kid(rng.permutation(a), rng.permutation(b)) == pytest.approx(found, rel=1e-9, abs=1e-12)


def test_is_unbiased_whatever_the_size():
    """Over many samples of one distribution the mean is 0, and about half of the values are negative."""
    rng = np.random.default_rng(0)
    for n, m in ((5, 5), (5, 40)):
        found = np.array([kid(rng.normal(size=(n, 8)), rng.normal(size=(m, 8))) for _ in range(2000)])
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean()) < 3 * error
        assert 0.3 < (found < 0).mean() < 0.8


def test_grows_with_the_shift_between_distributions():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(100, 6)), rng.normal(size=(100, 6))
    found = [kid(a, b + shift) for shift in (0, 0.3, 0.6, 1.2)]
    assert np.all(np.diff(found) > 0), found


def test_refuses_sets_without_a_kid(refused):
    good = np.random.default_rng(2).random((5, 3))
    for other in (good[:1], good[:, :2], good[0], good[:0]):
        refused(lambda other=other: kid(good, other), "no KID", "(5, 3)", str(other.shape))
        refused(lambda other=other: kid(other, good), "no KID")
    for bad in (np.nan, np.inf):
        refused(lambda bad=bad: kid(good, np.where(good > 0.5, bad, good)), "not finite")
