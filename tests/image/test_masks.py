"""Volumes of masks, their connected components, bounding boxes and masks of boxes."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import find_objects

from pre2post.image.masks import bounding_box, box_mask, lesions, millilitres

SHAPE = (4, 6, 5)
SPACING = (2.0, 2.5, 4.0)  # 0.02 ml per voxel


def test_millilitres():
    assert millilitres(np.ones((2, 5, 5)), (2.0, 2.5, 4.0)) == pytest.approx(1.0)
    assert millilitres(np.full((9, 9, 9), 255, np.uint8), (1.0, 1.0, 1.0)) == pytest.approx(0.729)


@given(
    arrays(np.uint8, SHAPE, elements=st.integers(0, 1)),
    st.sampled_from([bool, np.uint8, np.float32]),
    st.integers(1, 4),
)
def test_lesions_are_simpleitks_components(mask, dtype, smallest):
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(mask), True)
    expected = sitk.GetArrayFromImage(sitk.RelabelComponent(pieces, smallest))
    labels, count = lesions(mask.astype(dtype), SPACING, smallest_ml=smallest * 0.02)
    assert labels.dtype == np.int32 and count == expected.max()
    np.testing.assert_array_equal(labels > 0, expected > 0)
    sizes = [np.bincount(found.ravel(), minlength=count + 1)[1:].tolist() for found in (labels, expected)]
    assert sizes[0] == sizes[1] == sorted(sizes[1], reverse=True)
    assert len(set(zip(labels.ravel(), expected.ravel(), strict=True)) - {(0, 0)}) == count  # the same components


def test_voxels_of_a_lesion_may_share_only_a_corner():
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 5, 4] = True
    labels, count = lesions(mask, SPACING)
    assert count == 2
    assert labels[0, 0, 0] == labels[1, 1, 1] == 1 and labels[3, 5, 4] == 2
    assert lesions(mask, SPACING, smallest_ml=0.03)[1] == 1
    assert lesions(mask, SPACING, smallest_ml=0.05)[1] == 0


def test_an_empty_mask_has_no_lesion():
    labels, count = lesions(np.zeros(SHAPE), SPACING)
    assert count == 0 and labels.shape == SHAPE and not labels.any()


@given(
    st.lists(st.tuples(*(st.integers(0, size - 1) for size in SHAPE)), min_size=1, max_size=4),
    st.sampled_from([bool, np.uint8, np.float32]),
)
def test_the_box_is_that_of_scipy_and_holds_the_mask(voxels, dtype):
    mask = np.zeros(SHAPE, dtype)
    mask[tuple(np.transpose(voxels))] = 1
    box = bounding_box(mask)
    assert box == tuple(end for part in find_objects(mask.astype(int))[0] for end in (part.start, part.stop))
    filled = box_mask(box, SHAPE)
    assert filled.dtype == np.uint8 and filled.sum() == np.prod(np.subtract(box[1::2], box[::2]))
    assert (filled >= mask).all() and bounding_box(filled) == box


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="empty"):
        bounding_box(np.zeros(SHAPE))
