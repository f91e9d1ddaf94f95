"""The intensity scale: percentiles map to the documented values, and the map is invertible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pre2post.image.intensity import IntensityScale


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_percentiles_of_pre_set_the_scale(dtype):
    array = np.arange(1001).astype(dtype)
    scale = IntensityScale.from_pre(array, 1, 99, 3)
    assert (scale.low, scale.high) == (10, 10 + 3 * 980)
    assert scale.normalise(np.array([10, 990, 2950])) == pytest.approx([0, 1 / 3, 1])
    assert scale.normalise(array).dtype == np.float32


@given(low=st.floats(-100, 100), width=st.floats(1, 5000), value=st.floats(-1000, 10000, width=32))
def test_restore_undoes_normalise(low, width, value):
    scale = IntensityScale(low, low + width)
    back = scale.restore(scale.normalise(np.array([value], np.float32)))
    assert back.dtype == np.float32
    assert back[0] == pytest.approx(value, rel=1e-5, abs=1e-6 * (abs(low) + width + abs(value)))


@pytest.mark.parametrize("array", [np.zeros(9), np.full(9, 7), np.array([0, np.nan, 1])])
def test_a_volume_without_contrast_is_refused(array, refused):
    refused(lambda: IntensityScale.from_pre(array, 0.1, 99.9, 3), "no contrast", "percentile 0.1")


@given(arrays(st.sampled_from([np.int16, np.uint16]), (3, 4, 5)), st.floats(0, 49), st.floats(51, 100))
def test_counting_gives_the_percentiles_of_sorting(array, low, high):
    expected = np.percentile(array.astype(np.float64), [low, high])
    if expected[1] > expected[0]:
        scale = IntensityScale.from_pre(array, low, high, 1)
        assert (scale.low, scale.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9)
