"""NaN and infinity in files are found, which the reading library hides in NIfTI."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from pre2post.io.finite import check_finite
from pre2post.io.volume_file import read_volume


def save(path, array):
    if path.name.endswith(".mha"):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    else:
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_they_are_found_and_counted(tmp_path, refused, name, dtype, value):
    array = np.ones((3, 4, 5), dtype)
    array[0, 1, 2:4] = value
    path = save(tmp_path / name, array)
    refused(lambda: check_finite(read_volume(path), path), str(path), "2 of 60 voxels", "what to do")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_numbers_pass(tmp_path, name, dtype):
    path = save(tmp_path / name, np.arange(60).reshape(3, 4, 5).astype(dtype))
    check_finite(read_volume(path), path)


def test_what_float32_cannot_hold_is_refused(tmp_path, refused):
    path = save(tmp_path / "v.nii", np.full((2, 2, 2), 1e200))
    volume = read_volume(path)
    refused(lambda: check_finite(volume, path), "8 of 8 voxels")
