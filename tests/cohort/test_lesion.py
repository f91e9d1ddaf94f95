"""Tumours of cases, from masks or annotated boxes; unusable masks are refused."""

from dataclasses import replace

import numpy as np
import pytest

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_lesion, read_mask
from pre2post.image.intensity import IntensityScale
from pre2post.image.volume import Volume
from pre2post.io.volume_file import write_volume

TUMOUR = np.zeros((3, 4, 5), np.uint8)
TUMOUR[1, 2, 3:5] = 1


@pytest.fixture
def saved(tmp_path):
    """Write a mask and return its case."""

    def save(array):
        case = Case("P1", "A", ("pre", "post1"), True, IntensityScale(0.0, 1.0), tmp_path / "P1")
        write_volume(Volume(np.asarray(array), (0.7, 0.8, 2.0), (1.0, 2.0, 3.0)), case.path("mask"))
        return case

    return save


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int16])
def test_a_mask_is_read_as_uint8_with_its_geometry(saved, kind):
    mask = read_mask(saved(TUMOUR.astype(kind)))
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.array, TUMOUR)
    assert mask.spacing == pytest.approx((0.7, 0.8, 2.0)) and mask.origin == pytest.approx((1, 2, 3))


@pytest.mark.parametrize(("label", "found"), [(2, "0, 1, 2"), (255, "0, 1, 255"), (0.5, "0, 0.5, 1"), (-1, "-1, 0, 1")])
def test_other_labels_are_refused(saved, refused, label, found):
    array = TUMOUR.astype(np.float32)
    array[0, 0, 0] = label
    case = saved(array)
    refused(
        lambda: read_mask(case),
        "case P1",
        str(case.path("mask")),
        "unexpected labels",
        f"found: {found}",
        "label the tumour 1",
    )
    refused(lambda: read_mask(case, needs_tumour=False), "unexpected labels")


def test_a_mask_of_255_alone_is_refused_too(saved, refused):
    refused(lambda: read_mask(saved(255 * TUMOUR)), "unexpected labels", "found: 0, 255")


def test_many_labels_are_not_all_named(saved, refused):
    message = refused(lambda: read_mask(saved(np.arange(60, dtype=np.float32).reshape(3, 4, 5))), "0, 1, 2")
    assert "59" not in message.partition("found: ")[2]


def test_an_empty_mask_is_refused_if_a_tumour_is_needed(saved, refused):
    case = saved(np.zeros_like(TUMOUR))
    refused(lambda: read_mask(case), "case P1", str(case.path("mask")), "no tumour", "leave the case out")
    assert not read_mask(case, needs_tumour=False).array.any()


def test_a_missing_mask_is_refused_by_file(saved, refused):
    case = saved(TUMOUR)
    case.path("mask").unlink()
    refused(lambda: read_mask(case), str(case.path("mask")), "missing")


def test_a_case_without_a_mask_is_refused(tmp_path, refused):
    case = Case("P1", "A", ("pre", "post1"), False, IntensityScale(0.0, 1.0), tmp_path)
    refused(lambda: read_mask(case), "case P1", "the case has no mask")


def test_a_lesion_is_the_mask_or_the_box_or_none(tmp_path):
    pre = Volume(np.zeros((4, 6, 5), np.float32), (0.7, 0.8, 2.0))
    case = Case("P1", "A", ("pre", "post1"), False, IntensityScale(0.0, 1.0), tmp_path, box=(1, 3, 2, 5, 0, 4))
    lesion = read_lesion(case, pre)
    assert lesion.array.sum() == 2 * 3 * 4
    assert lesion.array[1:3, 2:5, 0:4].all()
    assert lesion.spacing == (0.7, 0.8, 2.0)
    assert read_lesion(replace(case, box=None), pre) is None
    mask = pre.like(np.ones((4, 6, 5), np.uint8))
    write_volume(mask, tmp_path / "mask.nii.gz")
    assert read_lesion(replace(case, has_mask=True), pre).array.all()
