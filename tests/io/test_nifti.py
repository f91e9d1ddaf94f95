"""Whole files pass without being decompressed again; anything missing or changed is found."""

import gzip
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from pre2post.image.volume import Volume
from pre2post.io import nifti
from pre2post.io.nifti import check_length
from pre2post.io.volume_file import write_volume

ARRAY = np.random.default_rng(0).normal(100, 40, (20, 30, 40)).astype(np.float32)


def voxels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(params=["v.nii.gz", "v.nii"])
def path(tmp_path, request):
    write_volume(Volume(ARRAY), tmp_path / request.param)
    return tmp_path / request.param


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_whole_file_is_not_read_again(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(nifti, "_blocks", lambda file: pytest.fail("decompressed a second time"))
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
def test_whole_files_of_other_kinds_pass(tmp_path, make):
    """Another byte order, another header, several compressed members: what was read is not what lies in the file."""
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
    if kept not in (0, 5, 100):  # else the library itself refuses
        refused(lambda: check_length(path, voxels(path)), str(path), "truncated")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_a_damaged_byte_is_found_although_the_library_reads_on(tmp_path, refused, place):
    path, array = tmp_path / "v.nii.gz", np.tile(ARRAY, (8, 1, 1))  # more than the library inflates for the header
    write_volume(Volume(array), path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x55
    path.write_bytes(content)
    read = voxels(path)
    assert not np.array_equal(read, array)
    refused(lambda: check_length(path, read), str(path), "damaged")
    refused(lambda: check_length(path), str(path), "damaged")


def test_a_header_that_announces_more_is_refused(tmp_path, refused):
    write_volume(Volume(ARRAY), tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[42:44] = np.int16(41).tobytes()
    (tmp_path / "v.nii").write_bytes(content)
    with open(tmp_path / "v.nii", "rb") as plain, gzip.open(tmp_path / "v.nii.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    for name in ("v.nii", "v.nii.gz"):
        for read in (None, ARRAY, voxels(tmp_path / name)):
            refused(lambda name=name, read=read: check_length(tmp_path / name, read), name, "truncated", "expected")
