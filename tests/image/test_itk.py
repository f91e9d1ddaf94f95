"""Conversion to SimpleITK and back, its errors in one line, and its threads."""

import numpy as np
import pytest
import SimpleITK as sitk

from pre2post.image.itk import from_image, last_line, to_image, use_one_thread
from pre2post.image.volume import Volume, same_geometry

TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "given, stored",
    [
        (bool, np.uint8),
        (np.uint8, np.uint8),
        (np.int16, np.int16),
        (np.uint16, np.uint16),
        (np.int64, np.float32),
        (np.float64, np.float32),
    ],
)
def test_a_volume_becomes_an_image_and_back(given, stored):
    volume = Volume(np.arange(24).reshape(2, 3, 4).astype(given), (0.5, 0.7, 2.0), (-9.0, 8.0, 7.0), TURNED)
    image = to_image(volume)
    assert image.GetSize() == (4, 3, 2) and sitk.GetArrayViewFromImage(image).dtype == stored
    back = from_image(image, stored)
    assert back.array.dtype == stored and same_geometry(back, volume, tolerance=0)
    np.testing.assert_array_equal(back.array, volume.array.astype(stored))


def test_values_beyond_float32_become_infinite_without_a_warning(recwarn):
    image = sitk.GetImageFromArray(np.full((1, 1, 2), [1e200, 1.0]))
    np.testing.assert_array_equal(from_image(image).array, [[[np.inf, 1]]])
    assert not list(recwarn)


def test_the_last_line_of_an_error_has_no_address(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        sitk.ReadImage(str(tmp_path / "none.mha"))
    assert "\n" in str(caught.value)
    shown = last_line(caught.value)
    assert "none.mha" in shown and "\n" not in shown and "0x" not in shown
    assert last_line(ValueError("first\n  ITK ERROR: Filter(0x55d0a2): no overlap \n")) == "no overlap"


def test_workers_use_one_thread():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
        use_one_thread()
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 1
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
