"""Radiomics features equal those of the package frd-score for the same images in files."""

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from pre2post.features.radiomics_features import radiomics_features
from pre2post.image.volume import Volume

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # pyradiomics's import

SHAPE = (3, 30, 34)
PLACE = {"spacing": (0.7, 0.9, 2.5), "origin": (-101.7, 20.3, 7.1)}


@pytest.fixture
def images() -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=SHAPE)
    return 100 + 900 * gaussian_filter(noise, (0, 2, 2)) + 20 * noise


@pytest.fixture
def masks() -> np.ndarray:
    masks = np.zeros(SHAPE, bool)
    masks[0, 5:16, 8:20] = masks[1, 12:25, 3:30] = masks[2, 2:28, 2:9] = True
    masks[1, 15, 10] = False
    return masks


@pytest.fixture
def full_masks_allowed(monkeypatch):
    """Accept masks without an outside, which FRD v0 needs, like pyradiomics after 3.0."""
    from radiomics import imageoperations

    kept = imageoperations.getMask

    def get_mask(mask, **settings):
        mask = sitk.Cast(mask, sitk.sitkUInt32)
        return mask if sitk.GetArrayViewFromImage(mask).all() else kept(mask, **settings)

    monkeypatch.setattr(imageoperations, "getMask", get_mask)


def package_features(folder, images, masks, version, dimensions=2):
    """Extract features of SimpleITK images in files with frd-score."""
    from frd_score.frd import get_feature_extractor, process_image_mask_pair

    folder.mkdir()
    rows = []
    take = partial(
        process_image_mask_pair,
        frd_version=version,
        feature_extractor=get_feature_extractor(frd_version=version, image_dim=dimensions),
    )
    for index, image in enumerate(images):
        sitk.WriteImage(image, str(folder / f"{index}.mha"))
        if masks is not None:
            sitk.WriteImage(masks[index], str(folder / f"{index}_mask.mha"))
        row = take((folder / f"{index}.mha", None if masks is None else folder / f"{index}_mask.mha"))
        if row is not None:
            rows.append(row[1])
    return tuple(rows[0]), np.array([list(row.values()) for row in rows])


def check_equal(found, wanted):
    names, values = wanted
    assert found.names == names
    np.testing.assert_allclose(found.values, values, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_equal_the_package_on_plain_slices(tmp_path, images, masks, version, kind, full_masks_allowed):
    images = np.clip(images / 8 if kind is np.uint8 else images, 0, None).astype(kind)
    files = [sitk.GetImageFromArray(image) for image in images]
    found = radiomics_features(images, masks, version)
    check_equal(
        found,
        package_features(
            tmp_path / "masked", files, [sitk.GetImageFromArray(255 * mask.astype(np.uint8)) for mask in masks], version
        ),
    )
    assert found.used == (0, 1, 2)
    check_equal(radiomics_features(images, version=version), package_features(tmp_path / "whole", files, None, version))


def placed(array, mask):
    """Return the array and the mask as Volumes, and as SimpleITK images of the same geometry."""
    volumes, files = [], []
    for values in (array.astype(np.float32), mask.astype(np.uint8)):
        volumes.append(Volume(values, **PLACE))
        image = sitk.GetImageFromArray(values)
        image.SetSpacing(PLACE["spacing"])
        image.SetOrigin(PLACE["origin"])
        files.append(image)
    return volumes, files


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_equal_the_package_on_planes_with_a_geometry(tmp_path, images, masks, version):
    (image, mask), files = placed(images[:1], masks[:1])
    check_equal(
        radiomics_features([image], [mask], version),
        package_features(tmp_path / "plane", files[:1], files[1:], version),
    )


@pytest.mark.parametrize("version, size", [("v0", 12), ("v1", 6)])
def test_equal_the_package_on_volumes(tmp_path, images, version, size):
    """v1 resamples to 1 mm and filters in 3D: a small volume is enough."""
    array = images[:, :size, :size]
    mask = np.zeros(array.shape)
    mask[:, 1:5, 1:5] = 1
    (image, mask), files = placed(array, mask)
    check_equal(
        radiomics_features([image], [mask], version),
        package_features(tmp_path / "volume", files[:1], files[1:], version, dimensions=3),
    )


def test_spacing_is_used(images, masks):
    one, other = (radiomics_features(images[:1], masks[:1], spacing=spacing) for spacing in ((1, 1), (0.8, 0.8)))
    plane = Volume(images[:1], (0.8, 0.8, 1.0))
    same = radiomics_features([plane], [Volume(masks[:1], plane.spacing)])
    assert not np.allclose(one.values, other.values, rtol=1e-3)
    np.testing.assert_array_equal(other.values, same.values)


def test_processes_change_nothing(images, masks):
    one, two = (radiomics_features(images, masks, "v0", processes=processes) for processes in (1, 2))
    assert one.names == two.names and one.used == two.used
    np.testing.assert_array_equal(one.values, two.values)


def test_regions_of_a_single_pixel_are_skipped(images, masks):
    masks[1] = False
    masks[1, 4, 4] = True
    found = radiomics_features(images, masks, "v0")
    assert found.used == (0, 2)
    np.testing.assert_array_equal(found.values, radiomics_features(images[[0, 2]], masks[[0, 2]], "v0").values)
    nothing = radiomics_features(images[1:2], masks[1:2])
    assert nothing.used == nothing.names == () and nothing.values.shape == (0, 0)


def test_pixels_outside_the_region_do_not_count_in_v0(images, masks):
    other = np.where(masks, images, -images)
    np.testing.assert_array_equal(
        radiomics_features(images, masks, "v0").values, radiomics_features(other, masks, "v0").values
    )


def test_refuses_images_without_features(images, masks, refused):
    bad = images.copy()
    bad[1, 3, 3] = np.nan
    line = masks.copy()
    line[1] = False
    line[1, 4, 4:20] = True
    refused(lambda: radiomics_features(bad, masks, "v0"), "image 1", "not finite")
    refused(lambda: radiomics_features(images, line, "v1"), "image 1", "no radiomics features", "dimensions")
    refused(lambda: radiomics_features(images, masks[:2], "v1"), "3 images, 2 masks")
    refused(lambda: radiomics_features(images, masks[:, :-1], "v0"), "image 0", "another shape")
    refused(lambda: radiomics_features(images, masks, "v2"), "v2", "v0 or v1")
    refused(lambda: radiomics_features(images[0], None, "v1"), "image 0", "not an image")
    refused(
        lambda: radiomics_features([images[0], Volume(images)], None, "v0"), "image 1", "other features than the first"
    )


def test_prints_nothing(images, masks, capfd):
    corners = np.zeros_like(masks)
    corners[:, 0, 0] = corners[:, -1, -1] = True
    radiomics_features(images, corners, "v0")
    assert capfd.readouterr() == ("", "")
