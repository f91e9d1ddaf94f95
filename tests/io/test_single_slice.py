"""Files of single slices: two and three dimensions, their geometry, and folders with equal names."""

import numpy as np
import pytest
import SimpleITK as sitk

from pre2post.io.single_slice import double_image, list_slices, match_slices, read_slice

TURNED = ((0.8, -0.6, 0.6, 0.8), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.uint8])
@pytest.mark.parametrize("flat", [True, False])
def test_pixels_and_geometry_are_read_as_written(tmp_path, kind, flat):
    array = np.random.default_rng(0).integers(0, 200, (7, 9)).astype(kind)
    image = sitk.GetImageFromArray(array if flat else array[None])
    image.SetSpacing((0.7, 0.9) if flat else (0.7, 0.9, 2.5))
    image.SetOrigin((-4.5, 3.25) if flat else (-4.5, 3.25, 1.5))
    image.SetDirection(TURNED[not flat])
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    found = read_slice(tmp_path / "a.mha")
    assert found.flat == flat and found.image.dtype == np.float64
    np.testing.assert_array_equal(found.image, array)
    assert found.volume.spacing == pytest.approx((0.7, 0.9, 1.0 if flat else 2.5))
    assert found.volume.origin == pytest.approx((-4.5, 3.25, 0.0 if flat else 1.5))
    assert found.volume.direction == pytest.approx(TURNED[1])


def test_double_image_keeps_every_digit():
    array = np.random.default_rng(0).random((3, 4))
    image = double_image(array)
    assert image.GetPixelID() == sitk.sitkFloat64 and image.GetSize() == (4, 3, 1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], array)


def test_folders_match_by_name(tmp_path, refused):
    for folder, names in (("one", "b.1 a.mha"), ("two", "a.mha b.1")):
        (tmp_path / folder).mkdir()
        for name in names.split():
            (tmp_path / folder / f"{name.removesuffix('.mha')}.mha").touch()
        (tmp_path / folder / "notes.txt").touch()
    folders = {name: tmp_path / name for name in ("one", "two")}
    assert list(list_slices(folders["one"])) == ["a", "b.1"]
    assert match_slices(folders) == [
        {name: folder / f"{case}.mha" for name, folder in folders.items()} for case in ("a", "b.1")
    ]
    (folders["two"] / "c.mha").touch()
    refused(lambda: match_slices(folders), "case c", str(folders["one"] / "c.mha"), "1 of the 3", "missing")
    (folders["two"] / "a.mha").unlink()
    refused(lambda: match_slices(folders), "case a", str(folders["two"] / "a.mha"), "1 of the 2")
    refused(lambda: list_slices(tmp_path), str(tmp_path), "holds no slice")
    refused(lambda: list_slices(tmp_path / "three"), "three", "missing")


@pytest.mark.parametrize(
    "image, words",
    [
        (sitk.Image((4, 3, 2), sitk.sitkFloat32), "4 x 3 x 2"),
        (sitk.Image((4, 3), sitk.sitkVectorFloat32, 3), "3 values per pixel"),
        (sitk.Image((4, 3), sitk.sitkComplexFloat32), "2 values per pixel"),
        (sitk.GetImageFromArray(np.array([[1.0, np.nan], [np.inf, 2.0]])), "2 of 4 pixels"),
    ],
    ids=("two planes", "colours", "complex", "not finite"),
)
def test_other_images_are_refused(tmp_path, refused, image, words):
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    refused(lambda: read_slice(tmp_path / "a.mha"), str(tmp_path / "a.mha"), words)


def test_an_unreadable_file_is_refused(tmp_path, refused):
    (tmp_path / "a.mha").write_text("text")
    refused(lambda: read_slice(tmp_path / "a.mha"), str(tmp_path / "a.mha"), "cannot be read", "what to do")
