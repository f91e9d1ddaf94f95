"""The healthy breast: in examples, for random masks, and in the phantom, whose midline is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.image.laterality import contralateral, half_with_centre, halves

SHAPE = (2, 4, 10)


def columns(*places):
    mask = np.zeros(SHAPE, bool)
    mask[..., list(places)] = True
    return mask


def test_the_half_without_the_lesion_is_healthy():
    """The breasts extend from column 2 to 7: their halves meet between 4 and 5."""
    breast, lesion = columns(2, 3, 4, 5, 6, 7), np.zeros(SHAPE, bool)
    lesion[1, 2, 3] = True
    np.testing.assert_array_equal(contralateral(breast, lesion), columns(5, 6, 7))
    np.testing.assert_array_equal(contralateral(breast, lesion[..., ::-1]), columns(2, 3, 4))


def test_the_middle_is_that_of_the_breasts_not_of_the_image():
    breast = columns(0, 1, 2, 3)
    np.testing.assert_array_equal(contralateral(breast, columns(1)), columns(2, 3))


def test_a_lesion_on_both_sides_leaves_no_healthy_breast():
    assert not contralateral(columns(2, 3, 6, 7), columns(3, 6)).any()


def test_without_a_lesion_or_a_breast_the_result_is_empty():
    assert not contralateral(columns(2, 3, 6, 7), columns()).any()
    assert not contralateral(columns(), columns(3)).any()


@given(st.integers(0, 2**31), st.floats(0.02, 0.9), st.floats(0, 0.1))
def test_the_result_is_breast_on_the_other_side_of_the_lesion_or_empty(seed, breast_share, lesion_share):
    rng = np.random.default_rng(seed)
    breast, lesion = rng.random(SHAPE) < breast_share, rng.random(SHAPE) < lesion_share
    found = contralateral(breast, lesion)
    assert found.dtype == bool and found.shape == SHAPE
    assert not (found & ~breast).any() and not (found & lesion).any()
    if found.any():
        filled, of_lesion = (np.flatnonzero(mask.any(axis=(0, 1))) for mask in (found, lesion))
        assert filled.max() < of_lesion.min() or filled.min() > of_lesion.max()


@given(st.integers(0, 2**31))
def test_the_result_of_a_mirrored_patient_is_mirrored(seed):
    rng = np.random.default_rng(seed)
    breast, lesion = columns(1, 2, 3, 4, 5, 6) & (rng.random(SHAPE) < 0.9), np.zeros(SHAPE, bool)
    breast[0, 0, [1, 6]] = True  # an even number of columns: none is in the middle
    lesion[0, 0, rng.integers(10)] = True
    np.testing.assert_array_equal(
        contralateral(breast[..., ::-1], lesion[..., ::-1]), contralateral(breast, lesion)[..., ::-1]
    )


@given(st.integers(0, 9), st.integers(0, 9))
def test_halves_cover_all_columns_and_split_the_body(one, other):
    first, last = sorted((one, other))
    right, left = halves(columns(*range(first, last + 1)))
    np.testing.assert_array_equal(np.concatenate([np.arange(10)[right], np.arange(10)[left]]), np.arange(10))
    assert 0 <= (right.stop - first) - (last + 1 - left.start) <= 1


def test_without_a_body_the_volume_is_halved():
    assert halves(columns()) == (slice(0, 5), slice(5, 10))


@pytest.mark.parametrize(("places", "side"), [((1, 2), 0), ((4,), 0), ((5,), 1), ((0, 8, 9), 1), ((0, 1, 9), 0)])
def test_the_half_with_the_centre_of_mass(places, side):
    sides = halves(columns(*range(10)))
    assert half_with_centre(columns(*places), sides) == sides[side]
    np.testing.assert_allclose(np.mean(np.nonzero(columns(*places))[2]) > 4.5, side)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_masks_of_numbers_count_as_masks(kind):
    breast, lesion = columns(2, 3, 6, 7), columns(7)
    np.testing.assert_array_equal(contralateral(breast.astype(kind), lesion.astype(kind)), columns(2, 3))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_phantoms_healthy_breast(number):
    """It is about half of the breast mask, on the side of the midline without tumour."""
    from pre2post.image.breast_mask import breast_mask
    from pre2post.phantom.patient import make_patient
    from pre2post.phantom.scanner import acquire
    from pre2post.phantom.sites import SITES

    site = SITES["A"]
    grid = site.grid(64, 8)
    patient = make_patient(7, number, grid)
    (pre,) = acquire(patient, site, [0.0], np.random.default_rng(number))
    breast = breast_mask(pre, grid.spacing)
    found = contralateral(breast, patient.tumour)
    assert not found[patient.tumour].any()
    assert found.sum() / breast.sum() == pytest.approx(0.5, abs=0.1)
    x = np.broadcast_to(grid.axes()[0], grid.shape)
    affected = np.sign(x[patient.tumour].mean())
    assert (np.sign(x[found]) == -affected).mean() > 0.97
