"""The breast mask against the phantom's truth, and on input without a body."""

import numpy as np
import pytest

from pre2post.image.body_mask import body_mask
from pre2post.image.breast_mask import breast_mask


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_breasts_are_found(phantom_patient, dtype):
    pre, spacing, tissue, front, tumour = phantom_patient
    mask = breast_mask(pre.astype(dtype), spacing)
    assert mask.dtype == bool and mask.shape == pre.shape
    assert dice(mask, tissue & front) > 0.96
    assert mask[tumour].mean() > 0.98


def test_the_unit_of_intensity_does_not_matter(phantom_patient):
    pre, spacing = phantom_patient[:2]
    assert dice(breast_mask(pre, spacing), breast_mask(pre * np.float32(0.013), spacing)) > 0.999


SPACING = (1.0, 1.0, 3.0)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 32, 32)), np.full((3, 32, 32), np.nan), np.ones((1, 2, 2)), np.arange(12.0).reshape(1, 3, 4)]
)
def test_a_volume_without_a_body_has_an_empty_mask(array):
    mask = breast_mask(array, SPACING)
    assert mask.dtype == bool and mask.shape == array.shape and not mask.any()


@pytest.mark.parametrize(
    "array",
    [
        np.full((3, 32, 32), 5),
        np.random.default_rng(0).normal(100, 20, (3, 32, 32)),
        np.eye(32)[None] * 1000,
    ],
    ids=("constant", "noise", "diagonal"),
)
def test_the_mask_of_odd_input_is_a_part_of_the_body(array):
    mask = breast_mask(array, SPACING)
    assert mask.dtype == bool and mask.any()
    assert not (mask & ~body_mask(array, SPACING)).any()
