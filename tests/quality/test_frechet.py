import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from pipeline.errors import InputError
from quality.frechet import frechet_distance, moments


def by_definition(a, b):
    """Mean and covariance matrices, and scipy's square root of their product."""
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(c1 + c2) - 2 * np.trace(sqrtm(c1 @ c2)).real


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 20), (80, 300, 60), (30, 25, 20)])
@pytest.mark.parametrize("kind", ["float64", "float32", "int16"])
def test_equals_the_matrix_square_root(n, m, d, kind):
    rng = np.random.default_rng(n)
    mixing = rng.normal(size=(d, d))
    a = (20 * rng.normal(size=(n, d)) @ mixing).astype(kind)
    b = (20 * rng.normal(1, 1.5, size=(m, d))).astype(kind)
    assert frechet_distance(a, b) == pytest.approx(by_definition(a.astype(float), b.astype(float)), rel=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize(("n", "m"), [(12, 10), (12, 90)])
def test_fewer_images_than_features(n, m):
    """A singular covariance: the definition only holds through its eigenvalues, whose noise limits the comparison."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(n, 40)), rng.normal(0.5, 1.2, size=(m, 40))
    roots = np.sqrt(np.clip(np.linalg.eigvals(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real, 0, None)).sum()
    wanted = np.sum((a.mean(0) - b.mean(0)) ** 2) + a.var(0, ddof=1).sum() + b.var(0, ddof=1).sum() - 2 * roots
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


def test_closed_form_in_one_dimension():
    a, b = np.array([[1.0], [3.0]]), np.array([[0.0], [4.0], [8.0]])
    assert frechet_distance(a, b) == pytest.approx((2 - 4) ** 2 + (np.sqrt(2) - 4) ** 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(2, 40), st.integers(1, 12))
def test_is_a_symmetric_distance_that_rotation_leaves_alone(seed, n, m, d):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, d)), rng.normal(0.3, 2, size=(m, d))
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    distance = frechet_distance(a, b)
    assert distance >= 0
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-9, abs=1e-12)
    assert frechet_distance(a @ rotation + 7, b @ rotation + 7) == pytest.approx(distance, rel=1e-6, abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * d, rel=1e-9)


def test_moments_can_be_kept():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(50, 6)), rng.normal(size=(40, 6))
    kept = moments(a)
    assert frechet_distance(kept, b) == frechet_distance(a, b)
    np.testing.assert_allclose(kept.factor.T @ kept.factor, np.cov(a, rowvar=False), atol=1e-12)
    assert kept.n == 50


def test_refuses_what_has_no_covariance():
    good = np.random.default_rng(0).random((5, 3))
    with pytest.raises(InputError, match="at least 2"):
        frechet_distance(good, good[:1])
    with pytest.raises(InputError, match="not finite"):
        frechet_distance(good, np.where(good > 0.5, np.nan, good))
    with pytest.raises(InputError, match="3 and 2"):
        frechet_distance(good, good[:, :2])
