"""The anatomy of a patient: tissues in their places, the same on every grid, and all kinds of tumours."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from pre2post.phantom.breast import draw_breasts
from pre2post.phantom.patient import make_patient
from pre2post.phantom.sites import SITES
from pre2post.phantom.tissues import TISSUES
from pre2post.phantom.tumour import draw_tumours


def centre_mm(mask, grid):
    z, y, x = center_of_mass(mask)
    return np.array(grid.origin) + np.array(grid.spacing) * (x, y, z)


@pytest.fixture(scope="module")
def patient():
    return make_patient(2026, 1, SITES["A"].grid(96, 16))


def test_tissue_fills_the_body_and_air_the_outside(patient):
    shares = np.stack(list(patient.body.shares.values()))
    assert shares.min() >= 0 and shares.sum(0).max() < 1 + 1e-9
    assert shares.sum(0)[patient.skin < -5].min() > 0.95
    assert shares.sum(0)[patient.skin > 8].max() < 0.05  # except the nipple, which protrudes slightly


def test_tissues_are_in_anatomical_order(patient):
    labels = patient.labels()
    assert labels.dtype == np.uint8
    for name in ("fat", "gland", "muscle", "bone", "lung", "blood", "heart", "tumour"):
        assert (labels == TISSUES[name].label).any(), name
    height = {name: centre_mm(labels == TISSUES[name].label, patient.grid)[1] for name in ("gland", "heart", "bone")}
    assert height["gland"] < -5 < 30 < height["heart"] < height["bone"]  # y rises to the back
    assert centre_mm(labels == TISSUES["heart"].label, patient.grid)[0] > 0  # the heart is on the left


def test_a_patient_is_the_same_on_another_grid():
    """The tumour has the same position and volume in the geometry of both sites."""
    views = [make_patient(2026, 7, site.grid(128, 24)) for site in SITES.values()]
    centres = [centre_mm(p.tumour, p.grid) for p in views]
    volumes = [p.tumour.sum() * p.grid.voxel_volume for p in views]
    np.testing.assert_allclose(centres[0], centres[1], atol=1.5)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.1)


def test_patients_differ_and_are_reproducible():
    grid = SITES["A"].grid(32, 8)
    first, again, other = (make_patient(2026, n, grid) for n in (1, 1, 2))
    np.testing.assert_array_equal(first.body.shares["gland"], again.body.shares["gland"])
    assert np.abs(first.skin - other.skin).max() > 3


@pytest.mark.parametrize("number", range(1, 9))
def test_a_coarse_grid_shows_a_tumour_inside_the_breast(number):
    patient = make_patient(5, number, SITES["A"].grid(32, 8))
    assert 0 < patient.tumour.sum() < 60
    assert patient.skin[patient.tumour].max() < 0


def test_tumours_have_all_sizes_and_kinds():
    drawn = []
    for number in range(300):
        rng = np.random.default_rng(number)
        drawn.append(draw_tumours(rng, draw_breasts(rng)))
    all_tumours = [tumour for tumours in drawn for tumour in tumours]
    diameters = np.array([2 * tumour.radius for tumour in all_tumours])
    assert 5 <= diameters.min() < 8 and 32 < diameters.max() <= 40
    assert {len(tumours) for tumours in drawn} == {1, 2}
    for kind in ("spicules", "core"):
        assert 0.1 < np.mean([bool(getattr(tumour, kind)) for tumour in all_tumours]) < 0.9
