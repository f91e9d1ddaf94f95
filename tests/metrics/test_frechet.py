import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from pre2post.metrics.frechet import frechet_distance, moments, pooled


def by_definition(a, b):
    """Compute the distance from means and covariances with scipy's square root of their product."""
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
    """A singular covariance: compute the root from the eigenvalues, whose noise limits the comparison."""
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
def test_is_symmetric_and_invariant_to_rotation(seed, n, m, d):
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
    np.testing.assert_allclose(kept.factor.T @ kept.factor, 49 * np.cov(a, rowvar=False), atol=1e-12)
    assert kept.n == 50


@pytest.mark.parametrize("n", [1, 3, 6, 100])
def test_a_factor_has_no_more_rows_than_features(n):
    found = moments(np.random.default_rng(n).normal(size=(n, 6)))
    assert found.factor.shape == (min(n, 6), 6)
    assert pooled([found, found]).factor.shape[0] <= 6


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_pooled_moments_are_those_of_all_vectors_whatever_the_parts(seed, sizes, d):
    """Including parts of one vector, which have no covariance, and vectors far from 0."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.uniform(-5, 5), 2, size=(n, d)) + 1000 for n in sizes]
    every = np.concatenate(parts)
    found, wanted = pooled(moments(part) for part in parts), moments(every)
    assert found.n == wanted.n == sum(sizes)
    np.testing.assert_allclose(found.mean, every.mean(axis=0), rtol=1e-12)
    scatter = np.atleast_2d((every - every.mean(axis=0)).T @ (every - every.mean(axis=0)))
    np.testing.assert_allclose(found.factor.T @ found.factor, scatter, atol=1e-9 * max(1, scatter.max()))
    np.testing.assert_allclose(wanted.factor.T @ wanted.factor, scatter, atol=1e-9 * max(1, scatter.max()))


@pytest.mark.parametrize("sizes", [[1] * 30, [29, 1], [10, 1, 19], [2] * 15])
def test_a_distance_does_not_depend_on_the_parts(sizes):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(30, 10)), rng.normal(0.5, 2, size=(25, 10))
    parts = [moments(part) for part in np.split(a, np.cumsum(sizes)[:-1])]
    assert frechet_distance(pooled(parts), b) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    nested = pooled([pooled(parts[:2]), *parts[2:]])
    assert frechet_distance(nested, b) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_pooling_keeps_a_distance_of_more_features_than_vectors():
    """As with the features of InceptionV3."""
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(12, 300)), rng.normal(0.2, 1.5, size=(9, 300))
    parts = pooled([moments(a[:5]), moments(a[5:6]), moments(a[6:])])
    assert frechet_distance(parts, b) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_refuses_sets_without_a_covariance(refused):
    good = np.random.default_rng(0).random((5, 3))
    refused(lambda: frechet_distance(good, good[:1]), "at least 2", "5 and 1")
    refused(lambda: frechet_distance(good[:1], good), "at least 2", "1 and 5")
    refused(lambda: frechet_distance(moments(good[:1]), moments(good)), "at least 2")
    refused(lambda: frechet_distance(good, np.where(good > 0.5, np.nan, good)), "not finite")
    refused(lambda: frechet_distance(good, good[:, :2]), "3 and 2")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (4,), (2, 3, 4)])
def test_refuses_other_arrays(shape, refused):
    refused(lambda: moments(np.zeros(shape)), "not feature vectors", str(shape))
