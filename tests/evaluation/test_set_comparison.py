import numpy as np
import pytest

from pre2post.evaluation.set_comparison import HALVES, OTHERS, SetComparison
from pre2post.metrics.extractors import Extractor
from pre2post.metrics.feature_sets import standard_of
from pre2post.metrics.frechet import frechet_distance, moments
from pre2post.metrics.kid import kid


def simple(slices):
    slices = np.asarray(slices, float)
    return np.stack([slices.mean(axis=(1, 2)), 50 * slices.std(axis=(1, 2)), slices[:, 2, 3]], axis=1)


EXTRACTORS = [
    Extractor("fd_simple", "kid_simple", simple, standardised=True),
    Extractor("fid_simple", "kid_plain", simple, standardised=False),
]


@pytest.fixture
def patients():
    """Return five patients with 2 to 6 slices, real and of two other sets."""
    rng = np.random.default_rng(0)
    real = [rng.normal(i, 1 + i, size=(2 + i, 8, 9)) for i in range(5)]
    return [(slices, {"synthetic": slices + rng.normal(0.5, 1, slices.shape), "pre": 0.3 * slices}) for slices in real]


@pytest.fixture
def compared(patients):
    found = SetComparison(EXTRACTORS)
    for real, others in patients:
        found.add_patient(real, others)
    return found


def by_name(comparison):
    rows = list(comparison.rows())
    found = {(row["distance"], row["compared"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def features(patients, name=None):
    return simple(np.concatenate([others[name] if name else real for real, others in patients]))


@pytest.mark.parametrize("name", ["synthetic", "pre"])
def test_distances_are_those_between_all_slices(compared, patients, name):
    real, other = features(patients), features(patients, name)
    standard, rows = standard_of(moments(real)), by_name(compared)
    wanted = {
        "fd_simple": frechet_distance(standard(real), standard(other)),
        "kid_simple": kid(standard(real), standard(other)),
        "fid_simple": frechet_distance(real, other),
        "kid_plain": kid(real, other),
    }
    for distance, value in wanted.items():
        assert rows[distance, name] == {
            "distance": distance,
            "compared": name,
            "value": pytest.approx(value, rel=1e-7),
            "n_real": 20,
            "n": 20,
        }


def test_halves_are_every_other_patient(compared, patients):
    first, second = features(patients[::2]), features(patients[1::2])
    standard, rows = standard_of(moments(features(patients))), by_name(compared)
    assert rows["fd_simple", HALVES] == {
        "distance": "fd_simple",
        "compared": HALVES,
        "n_real": 12,
        "n": 8,
        "value": pytest.approx(frechet_distance(standard(first), standard(second)), rel=1e-7),
    }
    assert rows["kid_plain", HALVES]["value"] == pytest.approx(kid(first, second), rel=1e-7)


def test_a_set_can_be_added_alone_and_in_parts(compared, patients):
    slices = np.random.default_rng(1).normal(2, 3, size=(7, 8, 9))
    compared.add_set(OTHERS, slices[:3])
    compared.add_set(OTHERS, slices[3:])
    row = by_name(compared)["fid_simple", OTHERS]
    assert row["value"] == pytest.approx(frechet_distance(features(patients), simple(slices)), rel=1e-7)
    assert (row["n_real"], row["n"], compared.n) == (20, 7, 20)


def test_every_set_has_every_distance(compared):
    assert set(by_name(compared)) == {
        (distance, name)
        for distance in ("fd_simple", "kid_simple", "fid_simple", "kid_plain")
        for name in ("synthetic", "pre", HALVES)
    }


def test_equal_sets_have_distance_0(patients):
    found = SetComparison(EXTRACTORS)
    for real, _ in patients:
        found.add_patient(real, {"same": real})
    rows = by_name(found)
    assert rows["fd_simple", "same"]["value"] == pytest.approx(0, abs=1e-9)
    assert rows["kid_simple", "same"]["value"] < rows["kid_simple", HALVES]["value"]


def test_sets_that_are_too_small_have_no_row(patients):
    found = SetComparison(EXTRACTORS)
    assert found.n == 0 and list(found.rows()) == []
    found.add_set(OTHERS, np.zeros((1, 8, 9)))
    assert list(found.rows()) == []
    real, others = patients[0]
    found.add_patient(real, others)
    assert {name for _, name in by_name(found)} == {"synthetic", "pre"}  # one patient has no halves, OTHERS one slice
    found.add_patient(*patients[1])
    assert {name for _, name in by_name(found)} == {"synthetic", "pre", HALVES}


def test_a_patient_of_one_slice_alone_has_no_distance(patients):
    found = SetComparison(EXTRACTORS)
    found.add_patient(patients[0][0][:1], {"pre": patients[0][0][:1]})
    assert found.n == 1 and list(found.rows()) == []
