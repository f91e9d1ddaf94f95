import numpy as np
import pytest

from pre2post.evaluation.radiomics_comparison import RadiomicsComparison
from pre2post.evaluation.set_comparison import HALVES
from pre2post.features.radiomics_features import VERSIONS, radiomics_features
from pre2post.metrics.frd import frd

SPACING = (0.8, 0.8)
NAMES = ("real", "synthetic", "pre")


def patient(seed):
    """Return volumes of three sets, and a lesion in two of the three slices."""
    rng = np.random.default_rng(seed)
    real = rng.random((3, 20, 22)).astype(np.float32)
    lesion = np.zeros(real.shape, bool)
    lesion[0, 3:10, 3:9] = lesion[1, 5:14, 4 + seed : 15] = True
    return dict(zip(NAMES, (real, 0.8 * real + 0.1 * rng.random(real.shape), 0.5 * real), strict=True)), lesion


@pytest.fixture(scope="module")
def patients():
    return [patient(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def compared(patients):
    found = RadiomicsComparison()
    for number, (volumes, lesion) in enumerate(patients):
        found.add_patient(f"c{number}", volumes, lesion, SPACING)
    return found


def by_name(comparison):
    return {(row["distance"], row["compared"]): row for row in comparison.rows("real")}


@pytest.mark.parametrize("version", VERSIONS)
def test_distances_are_those_of_the_lesions_in_every_slice(compared, patients, version):
    taken = {
        name: radiomics_features(
            [volumes[name][z] for volumes, _ in patients for z in (0, 1)],
            [lesion[z] for _, lesion in patients for z in (0, 1)],
            version,
            SPACING,
        ).values
        for name in NAMES
    }
    rows = by_name(compared)
    for name in NAMES[1:]:
        assert rows[f"frd_{version}", name] == {
            "distance": f"frd_{version}",
            "compared": name,
            "n_real": 8,
            "n": 8,
            "value": pytest.approx(frd(taken["real"], taken[name], version).value, rel=1e-9),
        }
    halves = frd(taken["real"][:4], taken["real"][4:], version)
    assert rows[f"frd_{version}", HALVES]["value"] == pytest.approx(halves.value, rel=1e-9)
    assert (rows[f"frd_{version}", HALVES]["n_real"], rows[f"frd_{version}", HALVES]["n"]) == (4, 4)


def test_every_set_has_every_version(compared):
    assert set(by_name(compared)) == {
        (f"frd_{version}", name) for version in VERSIONS for name in ("synthetic", "pre", HALVES)
    }


@pytest.mark.parametrize("pixels", [[(5, 5)], [(5, 5), (5, 6)], [(5, 5), (5, 6), (6, 5), (6, 6)]])
def test_a_lesion_that_is_too_small_is_left_out_of_every_set_and_reported(patients, pixels, capsys):
    found = RadiomicsComparison()
    for number in (0, 1):
        found.add_patient(f"c{number}", *patients[number], SPACING)
    wanted = by_name(found)
    capsys.readouterr()
    volumes, lesion = patients[2][0], np.zeros((3, 20, 22), bool)
    for y, x in pixels:
        lesion[1, y, x] = True
    found.add_patient("tiny", volumes, lesion, SPACING)
    assert "case tiny is left out of FRD" in capsys.readouterr().out
    assert by_name(found) == wanted


def test_fewer_than_two_slices_have_no_row(patients):
    found = RadiomicsComparison()
    assert list(found.rows("real")) == []
    volumes, lesion = patients[0]
    found.add_patient("c0", volumes, lesion & (np.arange(3) == 1)[:, None, None], SPACING)
    assert list(found.rows("real")) == []
    found.add_patient("c1", *patients[1], SPACING)
    assert {name for _, name in by_name(found)} == {"synthetic", "pre"}  # halves of one slice have no distance
