"""Truncated and damaged files, NaN and infinity are found, all of which the reading library hides."""

import gzip
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from pre2post.image.volume import Volume
from pre2post.io import validation
from pre2post.io.validation import check_finite, check_length
from pre2post.io.volume_file import read_volume, write_volume

ARRAY = np.random.default_rng(0).normal(100, 40, (20, 30, 40)).astype(np.float32)


def voxels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(params=["v.nii.gz", "v.nii"])
def path(tmp_path, request):
    write_volume(Volume(ARRAY), tmp_path / request.param)
    return tmp_path / request.param


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_complete_file_is_not_decompressed_again(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(validation, "_blocks", lambda file: pytest.fail("decompressed a second time"))
    for name in ("v.nii.gz", "v.nii"):
        write_volume(Volume(ARRAY.astype(dtype)), tmp_path / name)
        check_length(tmp_path / name, voxels(tmp_path / name))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: nibabel.save(nibabel.Nifti1Image(ARRAY.astype(">i2"), np.eye(4)), path),
        lambda path: nibabel.save(
            nibabel.Nifti1Image(ARRAY.astype(">f4"), None, nibabel.Nifti1Header(endianness=">")), path
        ),
        lambda path: path.write_bytes(gzip.compress(b"\\0" * 400) + gzip.compress(b"more")),
    ],
)
def test_complete_files_of_other_kinds_pass(tmp_path, make):
    """Another byte order, another header, several compressed members: the bytes read differ from those in the file."""
    make(tmp_path / "v.nii.gz")
    check_length(tmp_path / "v.nii.gz")
    check_length(tmp_path / "v.nii.gz", ARRAY)


def test_other_files_pass(tmp_path):
    (tmp_path / "v.mha").write_bytes(b"")
    check_length(tmp_path / "v.mha")


@pytest.mark.parametrize("kept", [0, 5, 100, 349, 0.5, 0.99, -1, -4, -8])
def test_a_truncated_file_is_refused(path, refused, kept):
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(lambda: check_length(path), str(path), "truncated", "what to do")
    refused(lambda: check_length(path, ARRAY[:-1]), str(path), "truncated")
    if kept not in (0, 5, 100):  # the library refuses these itself
        refused(lambda: check_length(path, voxels(path)), str(path), "truncated")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_a_damaged_byte_is_found_although_the_library_reads_on(tmp_path, refused, place):
    path, array = tmp_path / "v.nii.gz", np.tile(ARRAY, (8, 1, 1))  # more than the library decompresses for the header
    write_volume(Volume(array), path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x55
    path.write_bytes(content)
    read = voxels(path)
    assert not np.array_equal(read, array)
    refused(lambda: check_length(path, read), str(path), "damaged")
    refused(lambda: check_length(path), str(path), "damaged")


def test_a_header_that_announces_more_voxels_is_refused(tmp_path, refused):
    write_volume(Volume(ARRAY), tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[42:44] = np.int16(41).tobytes()
    (tmp_path / "v.nii").write_bytes(content)
    with open(tmp_path / "v.nii", "rb") as plain, gzip.open(tmp_path / "v.nii.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    for name in ("v.nii", "v.nii.gz"):
        for read in (None, ARRAY, voxels(tmp_path / name)):
            refused(lambda name=name, read=read: check_length(tmp_path / name, read), name, "truncated", "expected")


def save(path, array):
    if path.name.endswith(".mha"):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    else:
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_found_and_counted(tmp_path, refused, name, dtype, value):
    array = np.ones((3, 4, 5), dtype)
    array[0, 1, 2:4] = value
    path = save(tmp_path / name, array)
    refused(lambda: check_finite(read_volume(path), path), str(path), "2 of 60 voxels", "what to do")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_finite_numbers_pass(tmp_path, name, dtype):
    path = save(tmp_path / name, np.arange(60).reshape(3, 4, 5).astype(dtype))
    check_finite(read_volume(path), path)


def test_values_beyond_float32_are_refused(tmp_path, refused):
    path = save(tmp_path / "v.nii", np.full((2, 2, 2), 1e200))
    volume = read_volume(path)
    refused(lambda: check_finite(volume, path), "8 of 8 voxels")
