"""The body and its foreground, on noise of known level and on the phantom."""

import numpy as np
import pytest

from pre2post.image.body_mask import air_level, body_mask, foreground_fraction, tissue_planes


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("blanked", [False, True])
def test_the_air_level_is_the_mean_of_its_noise(blanked):
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
    fractions = foreground_fraction(array)
    assert fractions[[0, 3]].max() < 0.005
    assert fractions[1:3] == pytest.approx(
        16 * 32 / 64**2, abs=0.06
    )  # smoothing widens a bright block by about a pixel
    np.testing.assert_array_equal(tissue_planes(array, 0.05), [1, 2])


def test_the_body_ends_at_the_skin(phantom_patient):
    pre, spacing, tissue, front, _ = phantom_patient
    assert dice(body_mask(pre, spacing) & front, tissue & front) > 0.98


def test_air_set_to_zero_has_level_zero():
    array = np.zeros((3, 40, 40))
    array[:, 20:] = 500
    assert air_level(array) == 0
    assert foreground_fraction(array) == pytest.approx([0.6] * 3)  # half of the rows, and 4 pixels of smoothing


def test_the_largest_component_is_the_body_and_its_holes_are_filled():
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(0, 5, (4, 64, 64)) + 1j * rng.normal(0, 5, (4, 64, 64)))
    array[:, 30:60, 10:54] += 400
    array[:, 40:48, 20:30] = 0  # a lung
    array[:, 5:12, 5:12] += 400  # an object apart
    mask = body_mask(array, (1.5, 1.5, 3.0))
    assert mask[:, 40:48, 20:30].all() and not mask[:, :15].any()
    assert mask.sum() == pytest.approx(4 * 30 * 44, rel=0.1)
