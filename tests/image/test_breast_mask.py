"""Body and breast regions against the phantom's truth, and on input that holds neither."""

import numpy as np
import pytest

from pre2post.image.body_mask import air_level, body_mask, foreground_share
from pre2post.image.breast_mask import BACK_OF_BREAST, breast_mask


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="module", params=[("A", 1), ("A", 2), ("B", 3)])
def patient(request):
    """(pre, spacing, tissue, in front of the wall, tumour) of a phantom patient of one site."""
    from pre2post.phantom.patient import make_patient
    from pre2post.phantom.scanner import SITES, acquire
    from pre2post.phantom.torso import draw_torso, wall_distance

    name, number = request.param
    site = SITES[name]
    grid = site.grid(96, 14)
    patient = make_patient(7, number, grid)
    (pre,) = acquire(patient, site, [0.0], np.random.default_rng(number))
    front = wall_distance(draw_torso(np.random.default_rng([7, number, 0])), grid) > 0
    front &= grid.axes()[1] < BACK_OF_BREAST  # the phantom's y is 0 at the skin over the sternum
    return pre, grid.spacing, patient.labels() > 0, front, patient.tumour


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_breasts_are_found(patient, dtype):
    pre, spacing, tissue, front, tumour = patient
    mask = breast_mask(pre.astype(dtype), spacing)
    assert mask.dtype == bool and mask.shape == pre.shape
    assert dice(mask, tissue & front) > 0.96
    assert mask[tumour].mean() > 0.98


def test_the_unit_of_intensity_does_not_matter(patient):
    pre, spacing = patient[:2]
    assert dice(breast_mask(pre, spacing), breast_mask(pre * np.float32(0.013), spacing)) > 0.999


def test_the_body_ends_at_the_skin(patient):
    pre, spacing, tissue, front, _ = patient
    assert dice(body_mask(pre, spacing) & front, tissue & front) > 0.98


@pytest.mark.parametrize("blanked", [False, True])
def test_the_level_of_air_is_that_of_its_noise(blanked):
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(0, 8, (4, 64, 64)) + 1j * rng.normal(0, 8, (4, 64, 64)))
    array[:, 20:, 10:50] += 200
    if blanked:
        array[:, :8] = 0
    assert air_level(array) == pytest.approx(8 * np.sqrt(np.pi / 2), rel=0.2)


def test_slices_of_air_have_no_foreground():
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(0, 8, (4, 64, 64)) + 1j * rng.normal(0, 8, (4, 64, 64)))
    array[1:3, 32:48, 16:48] += 100
    shares = foreground_share(array)
    assert shares[[0, 3]].max() < 0.005
    assert shares[1:3] == pytest.approx(16 * 32 / 64**2, abs=0.06)  # smoothing widens a bright block by a pixel or so


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 32, 32)),
        np.full((3, 32, 32), 5),
        np.full((3, 32, 32), np.nan),
        np.ones((1, 2, 2)),
        np.random.default_rng(0).normal(100, 20, (3, 32, 32)),
        np.eye(32)[None] * 1000,
        np.arange(12.0).reshape(1, 3, 4),
    ],
)
def test_odd_input_gives_a_mask_and_no_error(array):
    mask = breast_mask(array, (1.0, 1.0, 3.0))
    assert mask.dtype == bool and mask.shape == array.shape


def test_nothing_is_found_where_nothing_is():
    assert not breast_mask(np.zeros((3, 32, 32)), (1.0, 1.0, 3.0)).any()
