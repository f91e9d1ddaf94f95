"""Geometry of volumes: turning to LPS and back, comparison, cutting, and conversion to integers."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pre2post.image.itk import to_image
from pre2post.image.volume import (
    Volume,
    describe_geometry,
    from_lps,
    geometry_only,
    same_geometry,
    to_lps,
    whole_numbers,
)

SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
SPACINGS = st.tuples(*[st.floats(0.25, 8, width=32)] * 3)
ORIGINS = st.tuples(*[st.floats(-400, 400, width=32)] * 3)
TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def test_a_rotated_volume_is_turned_to_lps():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    turned = to_lps(Volume(array, (1, 2, 3), (10, 20, 30), TURNED))
    np.testing.assert_array_equal(turned.array, array[:, ::-1, ::-1])
    assert turned.origin == (10 - 3, 20 - 2 * 2, 30)
    assert turned.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


ANGLES = st.sampled_from([0, 12, 45, 90, 135, 180, 270]) | st.integers(0, 359)  # at 45 degrees two axes tie


@settings(max_examples=60, deadline=None)
@given(angles=st.tuples(ANGLES, ANGLES, ANGLES), mirrored=st.booleans(), spacing=SPACINGS, origin=ORIGINS)
def test_from_lps_undoes_to_lps(angles, mirrored, spacing, origin):
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * (1, 1, -1 if mirrored else 1)
    volume = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), spacing, origin, tuple(turn.ravel()))
    turned = to_lps(volume)
    back = from_lps(turned.like(turned.array + 1), volume)
    np.testing.assert_array_equal(back.array, volume.array + 1)
    assert (back.spacing, back.origin, back.direction) == (volume.spacing, volume.origin, volume.direction)


@pytest.mark.parametrize(
    "change, same",
    [
        ({"origin": (0.05, 0, 0)}, True),
        ({"origin": (0, 0, 0.5)}, False),
        ({"spacing": (1, 1, 1.1)}, False),
        ({"spacing": (1.0001, 1, 1)}, True),
        ({"direction": TURNED}, False),
        ({"array": np.zeros((9, 9, 8))}, False),
    ],
)
def test_same_geometry_accepts_rounding_and_no_shift(change, same):
    base = {"array": np.zeros((9, 9, 9)), "spacing": (1, 1, 1), "origin": (0, 0, 0)}
    assert same_geometry(Volume(**base), Volume(**base | change)) is same


@pytest.mark.parametrize("part", [slice(None), slice(0, 2), slice(2, 4), slice(-1, None)])
def test_columns_stay_where_they_were(part):
    turned = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    volume = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), (1.5, 2.0, 3.0), (10.0, 20.0, 30.0), turned)
    image, cut = to_image(volume), to_image(volume.columns(part))
    for x in range(cut.GetSize()[0]):
        index = image.TransformPhysicalPointToIndex(cut.TransformIndexToPhysicalPoint((x, 1, 1)))
        assert index[0] == range(4)[part][x]
        assert image[index] == cut[x, 1, 1]


def test_like_keeps_the_geometry_and_refuses_another_shape():
    volume = Volume(np.zeros((2, 2, 2)), (1, 2, 3), (4, 5, 6), TURNED)
    assert same_geometry(volume.like(np.ones((2, 2, 2))), volume)
    with pytest.raises(ValueError, match="shape"):
        volume.like(np.ones((2, 2, 3)))


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, spacing=SPACINGS, origin=ORIGINS, turn=st.integers(0, 23), seed=st.integers(0, 99))
def test_turning_agrees_with_itk(shape, spacing, origin, turn, seed):
    rng = np.random.default_rng(seed)
    direction = (
        tuple(Rotation.create_group("O")[turn].as_matrix().round().ravel())
        if seed % 2
        else tuple(Rotation.random(random_state=seed).as_matrix().ravel())
    )
    volume = Volume(rng.integers(-99, 99, shape).astype(np.int16), spacing, origin, direction)
    turned, expected = to_lps(volume), sitk.DICOMOrient(to_image(volume), "LPS")
    assert turned.array.dtype == np.int16
    np.testing.assert_array_equal(turned.array, sitk.GetArrayFromImage(expected))
    np.testing.assert_allclose(turned.spacing, expected.GetSpacing())
    np.testing.assert_allclose(turned.origin, expected.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(turned.direction, expected.GetDirection(), atol=1e-12)


@pytest.mark.parametrize(
    "values, dtype",
    [
        ([0, 5, 300], np.int16),
        ([-1, 5], np.int16),
        ([0, 65535], np.uint16),
        ([0.5, 1], np.float32),
        ([-1, 65535], np.float32),
        ([0, 70000], np.float32),
    ],
)
def test_whole_numbers_keeps_values_exactly(values, dtype):
    volume = Volume(np.array(values, np.float32).reshape(1, 1, -1))
    kept = whole_numbers(volume)
    assert kept.array.dtype == dtype
    np.testing.assert_array_equal(kept.array, volume.array)


def test_a_geometry_takes_no_memory_and_turns_like_its_volume():
    volume = Volume(np.zeros((30, 40, 50)), (0.5, 0.7, 2.0), (-9.0, 8.0, 7.0), TURNED)
    empty = geometry_only(volume.array.shape, volume.spacing, volume.origin, volume.direction)
    assert same_geometry(to_lps(empty), to_lps(volume), tolerance=0)
    assert not any(empty.array.strides) and not any(to_lps(empty).array.strides)


def test_a_geometry_is_described_in_words():
    volume = Volume(np.zeros((2, 3, 4)), (0.70001, 0.8, 2.5), (-9.125, 8.0, 7.0))
    assert describe_geometry(volume) == "4 x 3 x 2 voxels of 0.7 x 0.8 x 2.5 mm, first at (-9.12, 8.00, 7.00) mm"
