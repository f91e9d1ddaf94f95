"""The region opposite a tumour, in images of two breasts with a known midline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pre2post.mama_synth.mirror import find_midline, mirror, mirrored_region, tissue_profile

SHAPE = (60, 101)
LINE = 50


def breasts(shape=SHAPE, line=LINE, seed=0, bright=1.0):
    """Return an image of two textured breasts at equal distance from the column `line`, with a chest wall, in air."""
    rows, columns = np.indices(shape)
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    image = np.full(shape, -2.2)
    for centre in (line - 24, line + 24):
        inside = ((columns - centre) / 17) ** 2 + ((rows - 30) / 22) ** 2 < 1
        image = np.where(inside, bright + 0.3 * texture, image)
    return np.where((rows > 44) & (image < -2), -0.5, image)


def tumour(y=30, x=74, radius=4, shape=SHAPE):
    rows, columns = np.indices(shape)
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def test_the_mirrored_region_is_in_the_other_breast():
    found = mirrored_region(breasts(), tumour())
    rows, columns = np.nonzero(found.mask)
    assert found.reason == ""
    assert abs(rows.mean() - 30) < 1e-9 and abs(columns.mean() - 26) <= 4
    assert found.mask.sum() == tumour().sum() and not (found.mask & tumour()).any()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_masks_of_any_type_are_accepted(kind):
    np.testing.assert_array_equal(
        mirrored_region(breasts(), tumour().astype(kind)).mask, mirrored_region(breasts(), tumour()).mask
    )


def test_a_heart_between_the_breasts_does_not_move_the_midline():
    image = breasts()
    rows, columns = np.indices(SHAPE)
    image[(rows > 50) & (abs(columns - LINE) < 3)] = 0.5
    columns = np.nonzero(mirrored_region(image, tumour()).mask)[1]
    assert abs(columns.mean() - 26) <= 4


def test_rotated_images_are_mirrored_along_the_other_axis():
    image, mask = breasts(), tumour()
    np.testing.assert_array_equal(mirrored_region(image.T, mask.T).mask, mirrored_region(image, mask).mask.T)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 40), st.sampled_from([0, 1]))
def test_mirroring_twice_restores_the_pixels_that_stayed_inside(seed, line, axis):
    mask = np.random.default_rng(seed).random((31, 37)) < 0.2
    once = mirror(mask, line, axis)
    twice = mirror(once, line, axis)
    assert not (twice & ~mask).any() and twice.sum() == once.sum()
    for y, x in np.argwhere(once):
        assert mask[2 * line - y, x] if axis == 0 else mask[y, 2 * line - x]


def test_profile_is_the_mean_tissue_of_a_column():
    image = np.full((10, 60), -3.0)
    image[2:6, 20:40] = np.arange(4)[:, None]
    profile = tissue_profile(image)
    assert np.isnan(profile[:19]).all() and np.isnan(profile[41:]).all()
    np.testing.assert_allclose(profile[19:41], 1.5)


@pytest.mark.parametrize(
    "image, reason",
    [
        (np.full(SHAPE, -2.2), "no two breasts"),
        (np.ones(SHAPE), "no two breasts"),
        (np.where(tumour(30, 50, 20), 1.0, -2.2), ""),
    ],
    ids=["air", "flat", "one breast"],
)
def test_images_without_two_breasts_have_no_midline(image, reason):
    found = mirrored_region(image, tumour())
    assert found.mask is None and reason in found.reason and found.reason
    if reason:
        assert find_midline(image) is None


def test_a_region_without_an_opposite_has_a_reason():
    assert mirrored_region(breasts(), np.zeros(SHAPE)).reason == "the mask is empty"
    shifted = np.pad(breasts(), ((0, 0), (0, 40)), constant_values=-2.2)
    outside = mirrored_region(shifted, tumour(30, 137, 2, shifted.shape))
    assert outside.mask is None and "outside" in outside.reason
    in_air = mirrored_region(breasts(), tumour(3, 95, 2))
    assert in_air.mask is None and "outside the body" in in_air.reason
