"""Resampled means and distances against values computed from the repeated features themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pre2post.metrics.frechet import frechet_distance, moments
from pre2post.stats.bootstrap import (
    AXES,
    MAX_FEATURES,
    PatientMoments,
    resample_patients,
    resampled_distances,
    resampled_means,
)

SIZES = [6, 1, 9, 4]  # slices per patient
COUNTS = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 4, 0], [3, 1, 0, 0], [0, 4, 0, 0]])  # the last: one slice alone


def patients_of(seed, shift=0.0, d=5, sizes=SIZES):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d))
    return [rng.normal(shift + 100, 1 + i, size=(n, d)) @ mixing for i, n in enumerate(sizes)]


def repeated(features, counts):
    return np.concatenate([part for part, count in zip(features, counts, strict=True) for _ in range(count)])


def of_each(patients):
    return [moments(part) for part in patients]


def test_distances_equal_those_of_features_repeated_by_the_counts():
    """With repeated and missing patients, and a resample of a single patient."""
    real, other = patients_of(0), patients_of(1, 0.5)
    found = resampled_distances(of_each(real), {"other": of_each(other)}, COUNTS)["other"]
    wanted = [frechet_distance(repeated(real, row), repeated(other, row)) for row in COUNTS]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(0, 8))
def test_distances_equal_repeated_features_for_any_resample(seed, d, extra):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, 5)
    real, other = patients_of(seed, 0, d, sizes), patients_of(seed + 1, 1, d, sizes + extra)
    counts = resample_patients(5, 4, seed)
    counts[:, 0] += 2  # a set of one vector has no distance
    found = resampled_distances(of_each(real), {"other": of_each(other)}, counts)["other"]
    wanted = [frechet_distance(repeated(real, row), repeated(other, row)) for row in counts]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(np.concatenate(real) - 100).max() ** 2)


def test_every_patient_once_gives_the_distance_itself():
    real, others = patients_of(2), {name: patients_of(seed) for seed, name in enumerate("abc", 3)}
    found = resampled_distances(
        of_each(real), {name: of_each(parts) for name, parts in others.items()}, np.ones((1, 4), int)
    )
    assert list(found) == ["a", "b", "c"]
    for name, parts in others.items():
        wanted = frechet_distance(np.concatenate(real), np.concatenate(parts))
        assert found[name] == pytest.approx([wanted], rel=1e-6)


def test_the_real_set_has_distance_0_to_itself():
    real = of_each(patients_of(6))
    found = resampled_distances(real, {"same": real}, COUNTS[:4])["same"]
    spread = sum(np.square(part.factor).sum() for part in real)
    assert (found >= 0).all() and found.max() < 1e-9 * spread


@pytest.mark.parametrize("block", [1, 2, 100])
def test_threads_and_blocks_of_resamples_do_not_matter(block, monkeypatch):
    real = of_each(patients_of(7))
    others = {name: of_each(patients_of(seed)) for seed, name in enumerate("abc", 8)}
    counts = resample_patients(4, 7, 0) + 1
    wanted = resampled_distances(real, others, counts)
    monkeypatch.setattr("pre2post.stats.bootstrap.BLOCK", block)
    for threads in (1, 2):
        found = resampled_distances(real, others, counts, threads)
        assert list(found) == list(wanted)
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-9)


def test_one_and_two_threads_give_equal_values():
    real, others = of_each(patients_of(7)), {name: of_each(patients_of(seed)) for seed, name in enumerate("abc", 8)}
    counts = resample_patients(4, 30, 0) + 1
    one, two = (resampled_distances(real, others, counts, threads) for threads in (1, 2))
    for name in others:
        np.testing.assert_array_equal(one[name], two[name])


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 1000))
def test_counts_sum_up_to_the_number_of_patients(n_patients, n_resamples, seed):
    counts = resample_patients(n_patients, n_resamples, seed)
    assert counts.shape == (n_resamples, n_patients)
    assert (counts.sum(axis=1) == n_patients).all() and counts.min() >= 0
    np.testing.assert_array_equal(counts, resample_patients(n_patients, n_resamples, seed))


def test_resamples_follow_their_seed():
    assert (resample_patients(10, 5, [1, 2]) != resample_patients(10, 5, [1, 3])).any()


def test_every_patient_has_the_same_probability():
    """The counts of one patient over many resamples are binomial."""
    counts = resample_patients(6, 4000, 0)
    shares = (counts[..., None] == np.arange(7)).mean(axis=0)
    wanted = stats.binom.pmf(np.arange(7), 6, 1 / 6)
    np.testing.assert_allclose(shares, np.broadcast_to(wanted, shares.shape), atol=0.03)


@pytest.mark.parametrize("kind", [float, np.float32, np.uint8])
def test_means_are_those_of_repeated_values(kind):
    values = np.array([10, 3, 250, 7], kind)
    wanted = [np.repeat(values.astype(float), row).mean() for row in COUNTS]
    np.testing.assert_allclose(resampled_means(values, COUNTS), wanted, rtol=1e-12)


def test_means_with_an_infinite_value_are_nan():
    """The PSNR of equal images is infinite. All resamples are NaN, also those without that patient."""
    assert np.isnan(resampled_means([40.0, np.inf, 30.0], np.array([[1, 1, 1], [2, 0, 1]]))).all()


def test_resampled_means_have_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).gamma(2, 3, 40)
    found = resampled_means(values, resample_patients(40, 5000, 1))
    assert found.mean() == pytest.approx(values.mean(), rel=0.01)
    assert found.std() == pytest.approx(values.std() / np.sqrt(40), rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.lists(st.integers(0, 8), max_size=5))
def test_moments_in_pieces_are_those_at_once(seed, n, sizes):
    """Patients in any order, also split between pieces."""
    rng = np.random.default_rng(seed)
    features, patients = rng.normal(5, 1, size=(n, 4)), rng.choice(["a", "b", "c"], n)
    found = PatientMoments()
    for part in np.split(np.arange(n), np.cumsum(sizes)):
        if len(part):
            found.add(features[part], patients[part].tolist())
    assert set(found.by_patient) == set(patients)
    for patient, own in found.by_patient.items():
        wanted = moments(features[patients == patient])
        assert own.n == wanted.n
        np.testing.assert_allclose(own.mean, wanted.mean, rtol=1e-12)
        np.testing.assert_allclose(own.factor.T @ own.factor, wanted.factor.T @ wanted.factor, atol=1e-10)


def test_few_features_are_kept_unchanged():
    found = PatientMoments()
    features = np.random.default_rng(1).normal(size=(5, MAX_FEATURES))
    found.add(features, ["a"] * 5)
    np.testing.assert_allclose(found.by_patient["a"].mean, features.mean(axis=0), rtol=1e-12)


def test_many_features_are_projected_onto_fixed_axes():
    """The axes are orthonormal and the same for all sets."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(9, 2 * MAX_FEATURES))
    one, other = PatientMoments(), PatientMoments()
    one.add(features, ["a"] * 9)
    for row in features:
        other.add(row[None], ["a"])
    found = one.by_patient["a"]
    assert found.mean.shape == (MAX_FEATURES,)
    np.testing.assert_allclose(other.by_patient["a"].mean, found.mean, rtol=1e-9)
    centred = features - features.mean(axis=0)
    assert np.square(found.factor).sum() == pytest.approx(np.square(centred).sum() / 2, rel=0.2)


def test_distances_of_many_features_use_the_axes_of_most_variance():
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(AXES + 20, AXES + 20)) * np.linspace(3, 0.1, AXES + 20)
    real, other = ([rng.normal(shift, 1, size=(n, AXES + 20)) @ mixing.T for n in (20, 31, 25)] for shift in (0, 0.3))
    every = np.concatenate(real)
    axes = np.linalg.eigh(np.cov(every, rowvar=False))[1][:, -AXES:]
    counts = np.array([[1, 1, 1], [0, 1, 2]])
    found = resampled_distances(of_each(real), {"other": of_each(other)}, counts)["other"]
    wanted = [frechet_distance(repeated(real, row) @ axes, repeated(other, row) @ axes) for row in counts]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert (found < [frechet_distance(repeated(real, row), repeated(other, row)) for row in counts]).all()


@pytest.mark.parametrize("d", [AXES - 2, AXES])
def test_distances_of_few_features_are_exact_even_for_few_vectors(d):
    """Also if the real set has no variance in some direction and the other set has."""
    rng = np.random.default_rng(5)
    real, other = ([rng.normal(shift, 1, size=(n, d)) for n in (2, 5, 3)] for shift in (0, 1))
    found = resampled_distances(of_each(real), {"other": of_each(other)}, np.ones((1, 3), int))["other"]
    assert found == pytest.approx([frechet_distance(np.concatenate(real), np.concatenate(other))], rel=1e-6)


def test_projected_distances_rank_sets_like_all_features():
    rng = np.random.default_rng(3)
    real, patients = rng.normal(size=(60, 400)), [f"p{i // 12}" for i in range(60)]
    found = {}
    for name, noise in (("near", 0.2), ("middle", 0.5), ("far", 1.0)):
        kept = PatientMoments()
        kept.add(real + noise * rng.normal(1, 1, size=real.shape), patients)
        found[name] = list(kept.by_patient.values())
    kept = PatientMoments()
    kept.add(real, patients)
    resampled = resampled_distances(list(kept.by_patient.values()), found, resample_patients(5, 6, 0))
    assert (resampled["near"] < resampled["middle"]).all() and (resampled["middle"] < resampled["far"]).all()
