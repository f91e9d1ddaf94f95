"""Volumes of masks, boxes around them and masks of boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import find_objects

from imaging.masks import bounding_box, box_mask, millilitres

SHAPE = (4, 6, 5)


def test_millilitres():
    assert millilitres(np.ones((2, 5, 5)), (2.0, 2.5, 4.0)) == pytest.approx(1.0)
    assert millilitres(np.full((9, 9, 9), 255, np.uint8), (1.0, 1.0, 1.0)) == pytest.approx(0.729)


@given(st.lists(st.tuples(*(st.integers(0, size - 1) for size in SHAPE)), min_size=1, max_size=4),
       st.sampled_from([bool, np.uint8, np.float32]))
def test_the_box_is_that_of_scipy_and_holds_the_mask(voxels, dtype):
    mask = np.zeros(SHAPE, dtype)
    mask[tuple(np.transpose(voxels))] = 1
    box = bounding_box(mask)
    assert box == tuple(end for part in find_objects(mask.astype(int))[0] for end in (part.start, part.stop))
    filled = box_mask(box, SHAPE)
    assert filled.dtype == np.uint8 and filled.sum() == np.prod(np.subtract(box[1::2], box[::2]))
    assert (filled >= mask).all() and bounding_box(filled) == box


def test_nothing_has_no_box():
    with pytest.raises(ValueError, match="empty"):
        bounding_box(np.zeros(SHAPE))
