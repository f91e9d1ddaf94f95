import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.metrics.feature_sets import KID_IMAGES, UNSCALED, FeatureSet, set_distances, standard_of
from pre2post.metrics.frechet import frechet_distance, moments
from pre2post.metrics.kid import kid


def test_standardising_ignores_units_and_survives_constants():
    rng = np.random.default_rng(2)
    real = np.column_stack([rng.normal(5, 2, 50), 1e6 * rng.normal(size=50), np.full(50, 0.1)])
    standard = standard_of(moments(real))
    scaled = standard(real)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-12)
    assert standard(real + np.array([0, 0, 1]))[:, 2] == pytest.approx(1)


@pytest.mark.parametrize("make", [standard_of, lambda real: UNSCALED])
def test_scaled_moments_are_those_of_scaled_features(make):
    rng = np.random.default_rng(3)
    real, other = rng.normal(3, [1, 5, 100], size=(40, 3)), rng.normal(2, [2, 4, 50], size=(30, 3))
    standard = make(moments(real))
    assert frechet_distance(standard.of(moments(other)), standard(real)) == pytest.approx(
        frechet_distance(standard(other), standard(real)), rel=1e-9
    )
    assert standard.of(moments(other)).n == 30


def test_unscaled_features_are_unchanged():
    features = np.random.default_rng(4).normal(3, 2, size=(20, 4))
    np.testing.assert_array_equal(UNSCALED(features), features)


def pieces_of(features, sizes):
    """Return the set to which `features` were added in pieces of these sizes, and the rest at once."""
    found = FeatureSet()
    for piece in np.split(features, np.cumsum(sizes)):
        if len(piece):
            found.add(piece)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60), st.lists(st.integers(0, 9), max_size=8), st.integers(1, 7))
def test_a_set_that_grew_in_pieces_equals_one_added_at_once(seed, n, sizes, d):
    features = np.random.default_rng(seed).normal(100, 3, size=(n, d))
    found, wanted = pieces_of(features, sizes), moments(features)
    assert found.n == found.moments.n == n
    np.testing.assert_allclose(found.moments.mean, wanted.mean, rtol=1e-12)
    np.testing.assert_allclose(
        found.moments.factor.T @ found.moments.factor, wanted.factor.T @ wanted.factor, atol=1e-8
    )
    np.testing.assert_array_equal(found.sample, features)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 400), st.lists(st.integers(0, 90), max_size=8))
def test_the_sample_is_even_and_bounded_whatever_the_pieces(bound, n, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pre2post.metrics.feature_sets.KID_IMAGES", bound)
        places = pieces_of(np.arange(n, dtype=float)[:, None], sizes).sample[:, 0]
    assert min(n, bound / 2) <= len(places) <= bound
    assert places[0] == 0
    steps = set(np.diff(places))
    assert len(steps) <= 1
    assert n - places[-1] <= max(steps, default=n)


def test_a_large_set_keeps_no_more_than_its_sample():
    """Ten pieces of 300 vectors of 100 numbers, of which 750 stay in memory."""
    import tracemalloc

    tracemalloc.start()
    try:
        found = FeatureSet()
        for seed in range(10):
            found.add(np.random.default_rng(seed).normal(size=(300, 100)))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(found.sample) == 750 <= KID_IMAGES
    assert held < 1.5 * found.sample.nbytes


def test_distances_of_sets_are_those_of_their_features():
    rng = np.random.default_rng(5)
    real, other = rng.normal(3, [1, 5, 100], size=(40, 3)), rng.normal(2, [2, 4, 50], size=(30, 3))
    standard = standard_of(moments(real))
    found = set_distances(pieces_of(real, [7, 20]), pieces_of(other, [1]), standard)
    assert found == pytest.approx(
        {
            "frechet": frechet_distance(standard(real), standard(other)),
            "kid": kid(standard(real), standard(other)),
        },
        rel=1e-9,
    )


def test_sets_of_one_vector_have_no_distance(refused):
    many, one = FeatureSet(), FeatureSet()
    many.add(np.random.default_rng(6).normal(size=(5, 3)))
    one.add(np.zeros((1, 3)))
    assert one.n == 1 and FeatureSet().n == 0
    refused(lambda: set_distances(many, FeatureSet(), UNSCALED), "no features")
    refused(lambda: set_distances(many, one, UNSCALED), "too few images", "5 and 1")


@pytest.mark.parametrize("features", [np.full((2, 3), np.nan), np.zeros((0, 3)), np.zeros(3)])
def test_a_set_refuses_other_arrays(features, refused):
    refused(lambda: FeatureSet().add(features), "feature")
