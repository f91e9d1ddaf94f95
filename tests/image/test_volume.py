"""Volumes in files: values and geometry come back, equal volumes give equal bytes, bad files are refused."""

import errno
import os

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume, from_lps, same_geometry, to_image, to_lps, whole_numbers
from pre2post.io.volume_file import read_place, read_volume, write_volume

SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
SPACINGS = st.tuples(*[st.floats(0.25, 8, width=32)] * 3)
ORIGINS = st.tuples(*[st.floats(-400, 400, width=32)] * 3)
OBLIQUE = tuple(np.linalg.qr(np.array([[9, 2, 1], [-2, 8, 1.5], [-1, -2, 9.0]]))[0].ravel() * -1)
TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(
    shape=SHAPES,
    spacing=SPACINGS,
    origin=ORIGINS,
    name=st.sampled_from(["v.nii.gz", "v.nii", "v.mha"]),
    direction=st.sampled_from([TURNED, OBLIQUE]),
    data=st.data(),
)
def test_float_volume_comes_back(tmp_path_factory, shape, spacing, origin, name, direction, data):
    values = data.draw(arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32)))
    volume, path = Volume(values, spacing, origin, direction), tmp_path_factory.mktemp("v") / name
    write_volume(volume, path)
    back = read_volume(path)
    assert back.array.dtype == np.float32
    np.testing.assert_array_equal(back.array, values)
    assert same_geometry(volume, back, tolerance=1e-3)
    write_volume(back, path)
    again = read_volume(path)
    assert (again.spacing, again.origin) == (back.spacing, back.origin), "a header changes when it is written again"


@pytest.mark.parametrize(
    "given_as, stored",
    [
        (bool, np.uint8),
        (np.uint8, np.uint8),
        (np.int16, np.int16),
        (np.uint16, np.uint16),
        (np.int32, np.float32),
        (np.float64, np.float32),
    ],
)
def test_masks_stay_bytes_and_numbers_of_two_bytes_whole(tmp_path, given_as, stored):
    write_volume(Volume(np.arange(8).reshape(2, 2, 2).astype(given_as)), tmp_path / "v.nii.gz")
    assert nibabel.load(tmp_path / "v.nii.gz").get_data_dtype() == stored


def test_geometry_agrees_with_nibabel(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    volume = Volume(values, (0.7, 0.8, 2.5), (-9, 8, 7), OBLIQUE)
    write_volume(volume, tmp_path / "v.nii.gz")
    image = nibabel.load(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array.transpose(2, 1, 0))
    axes = np.reshape(OBLIQUE, (3, 3)) * (0.7, 0.8, 2.5)
    lps = np.vstack([np.column_stack([axes, (-9, 8, 7)]), [0, 0, 0, 1]])
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ lps, image.affine, atol=1e-5)


def test_equal_volumes_give_equal_bytes(tmp_path, monkeypatch):
    volume = Volume(np.ones((2, 3, 4), np.float32))
    write_volume(volume, tmp_path / "a.nii.gz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_volume(volume, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_turned_volume_comes_to_lps():
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
def test_same_geometry_tells_rounding_from_a_shift(change, same):
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


def test_like_keeps_the_place_and_refuses_another_shape():
    volume = Volume(np.zeros((2, 2, 2)), (1, 2, 3), (4, 5, 6), TURNED)
    assert same_geometry(volume.like(np.ones((2, 2, 2))), volume)
    with pytest.raises(ValueError, match="shape"):
        volume.like(np.ones((2, 2, 3)))


def test_unusable_files_are_refused(tmp_path, refused):
    refused(lambda: read_volume(tmp_path / "none.nii"), "none.nii", "missing")
    (tmp_path / "text.nii.gz").write_text("no volume")
    refused(lambda: read_volume(tmp_path / "text.nii.gz"), "text.nii.gz", "cannot be read", "what to do")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)), tmp_path / "four.nii")
    refused(lambda: read_volume(tmp_path / "four.nii"), "four.nii", "4 dimensions", "3 dimensions")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    refused(lambda: read_volume(tmp_path / "complex.nii"), "complex.nii", "complex", "1 value a voxel")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_truncated_file_is_refused_and_not_filled_with_zeros(tmp_path, refused, name, share):
    path = tmp_path / name
    write_volume(Volume(np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(lambda: read_volume(path), str(path))


@pytest.mark.parametrize("name", ["v.mha"])
def test_a_volume_that_the_library_cut_short_is_a_full_disk(tmp_path, monkeypatch, name):
    """The library prints a warning and reports success when the disk is full."""
    import SimpleITK as sitk

    write_volume(Volume(np.zeros((2, 2, 2), np.float32)), tmp_path / name)
    before, write = (tmp_path / name).read_bytes(), sitk.WriteImage

    def cut_short(image, path):
        write(image, path)
        os.truncate(path, 360)

    monkeypatch.setattr(sitk, "WriteImage", cut_short)
    with pytest.raises(OSError) as caught:
        write_volume(Volume(np.ones((9, 9, 9), np.float32)), tmp_path / name)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name], "temporary files are left"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_would_come_back_as_zero_are_refused(tmp_path, value):
    array = np.zeros((2, 2, 2), np.float32)
    array[0, 1, 0] = value
    with pytest.raises(InputError, match="not finite"):
        write_volume(Volume(array), tmp_path / "v.nii.gz")
    assert list(tmp_path.iterdir()) == []


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
    turned, expected = to_lps(volume), SimpleITK.DICOMOrient(to_image(volume), "LPS")
    assert turned.array.dtype == np.int16
    np.testing.assert_array_equal(turned.array, SimpleITK.GetArrayFromImage(expected))
    np.testing.assert_allclose(turned.spacing, expected.GetSpacing())
    np.testing.assert_allclose(turned.origin, expected.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(turned.direction, expected.GetDirection(), atol=1e-12)


def test_a_place_is_that_of_the_volume_and_holds_nothing(tmp_path):
    volume = Volume(np.ones((3, 4, 5), np.int16), (0.5, 0.75, 2.5), (-9, 8, 7), TURNED)
    write_volume(volume, tmp_path / "v.nii")
    found = read_place(tmp_path / "v.nii")
    assert same_geometry(found, volume) and same_geometry(to_lps(found), to_lps(volume))
    assert not any(to_lps(found).array.strides)


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
def test_whole_numbers_are_kept_exactly(values, dtype):
    volume = Volume(np.array(values, np.float32).reshape(1, 1, -1))
    kept = whole_numbers(volume)
    assert kept.array.dtype == dtype
    np.testing.assert_array_equal(kept.array, volume.array)
