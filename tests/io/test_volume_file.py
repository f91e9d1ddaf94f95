"""Volumes in files: values and geometry are read as written, equal volumes give equal bytes, bad files are refused."""

import errno
import os

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume, same_geometry, to_lps
from pre2post.io import volume_file
from pre2post.io.volume_file import read_geometry, read_volume, write_volume

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
def test_a_float_volume_is_read_as_written(tmp_path_factory, shape, spacing, origin, name, direction, data):
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
def test_the_stored_type_keeps_masks_and_16_bit_integers(tmp_path, given_as, stored):
    write_volume(Volume(np.arange(8).reshape(2, 2, 2).astype(given_as)), tmp_path / "v.nii.gz")
    assert nibabel.load(tmp_path / "v.nii.gz").get_data_dtype() == stored


def test_the_geometry_agrees_with_nibabel(tmp_path):
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


def test_unusable_files_are_refused(tmp_path, refused):
    refused(lambda: read_volume(tmp_path / "none.nii"), "none.nii", "missing")
    (tmp_path / "text.nii.gz").write_text("no volume")
    refused(lambda: read_volume(tmp_path / "text.nii.gz"), "text.nii.gz", "cannot be read", "what to do")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)), tmp_path / "four.nii")
    refused(lambda: read_volume(tmp_path / "four.nii"), "four.nii", "4 dimensions", "3 dimensions")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    refused(lambda: read_volume(tmp_path / "complex.nii"), "complex.nii", "complex", "1 value per voxel")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_truncated_file_is_refused_and_not_filled_with_zeros(tmp_path, refused, name, share):
    path = tmp_path / name
    write_volume(Volume(np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(lambda: read_volume(path), str(path))


@pytest.mark.parametrize("name", ["v.mha"])
def test_a_file_that_simpleitk_truncates_is_a_full_disk(tmp_path, monkeypatch, name):
    """On a full disk the library prints a warning and reports success."""
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
def test_nan_and_infinity_are_not_written(tmp_path, value):
    array = np.zeros((2, 2, 2), np.float32)
    array[0, 1, 0] = value
    with pytest.raises(InputError, match="not finite"):
        write_volume(Volume(array), tmp_path / "v.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_the_geometry_is_read_from_the_header_alone(tmp_path):
    volume = Volume(np.ones((3, 4, 5), np.int16), (0.5, 0.75, 2.5), (-9, 8, 7), TURNED)
    write_volume(volume, tmp_path / "v.nii")
    found = read_geometry(tmp_path / "v.nii")
    assert same_geometry(found, volume) and same_geometry(to_lps(found), to_lps(volume))
    assert not any(to_lps(found).array.strides)


def test_a_huge_volume_is_refused_by_its_header(tmp_path, monkeypatch, refused):
    write_volume(Volume(np.zeros((2, 3, 4), np.uint8)), tmp_path / "v.mha")
    monkeypatch.setattr(volume_file, "MAX_VOXELS", 23)
    monkeypatch.setattr(sitk, "ReadImage", lambda path: pytest.fail("read before it was refused"))
    refused(lambda: read_volume(tmp_path / "v.mha"), "v.mha", "too large", "24 voxels", "at most 23")
