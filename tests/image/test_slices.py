"""Slices of a fixed size and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.image.slices import from_slices, mask_to_slices, to_slices


def blob(shape, centre=(0.5, 0.5), width=0.15):
    y, x = ((np.arange(n) + 0.5) / n for n in shape[1:])
    plane = np.exp(-((y[:, None] - centre[0]) ** 2 + (x[None] - centre[1]) ** 2) / (2 * width**2))
    return np.stack([plane * (z + 1) for z in range(shape[0])]).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_the_same_size_changes_nothing(dtype):
    array = np.random.default_rng(0).normal(0, 100, (3, 16, 16)).astype(dtype)
    slices = to_slices(array, 16)
    assert slices.dtype == np.float32 and slices.flags.c_contiguous
    np.testing.assert_array_equal(slices, array.astype(np.float32))
    np.testing.assert_array_equal(from_slices(slices, array.shape), array.astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(24, 60), columns=st.integers(24, 60), size=st.sampled_from([32, 48, 64]))
def test_smooth_images_survive_the_round_trip(rows, columns, size):
    array = blob((2, rows, columns))
    back = from_slices(to_slices(array, size), array.shape)
    assert back.shape == array.shape and back.dtype == np.float32
    away = max(2, 2 * max(rows, columns) // size)  # interpolation is less exact at the edge
    np.testing.assert_allclose(back[:, away:-away, away:-away], array[:, away:-away, away:-away], atol=0.1)


def test_a_smaller_matrix_loses_little_more_than_the_detail_that_it_cannot_hold():
    """A disc with soft edges from 144 to 128 pixels and back, against an ideal low-pass filter."""
    y, x = np.mgrid[:144, :144]
    disc = 1 / (1 + np.exp((np.hypot(y - 70.3, x - 74.6) - 9) / 0.4))[None]
    spectrum = np.fft.fftshift(np.fft.fft2(disc[0]))
    spectrum[:8] = spectrum[-8:] = spectrum[:, :8] = spectrum[:, -8:] = 0
    ideal = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    back = from_slices(to_slices(disc, 128), disc.shape)
    assert np.abs(back - disc).max() < 2.3 * np.abs(ideal - disc).max()  # 2.9 times with cubic splines


@pytest.mark.parametrize("n, size", [(64, 32), (32, 64), (48, 32)])
def test_nothing_shifts(n, size):
    slices = to_slices(blob((1, n, n), (0.4, 0.6), 0.05), size)[0]
    places = (np.arange(size) + 0.5) / size
    assert (slices.sum(1) @ places) / slices.sum() == pytest.approx(0.4, abs=1e-3)
    assert (slices.sum(0) @ places) / slices.sum() == pytest.approx(0.6, abs=1e-3)


def test_shrinking_averages_instead_of_dropping_pixels():
    checks = np.indices((1, 64, 64)).sum(0) % 2
    assert np.ptp(to_slices(checks, 16)[:, 3:-3, 3:-3]) < 0.1


def test_a_wide_matrix_keeps_its_shape():
    disc = blob((1, 32, 64), width=0.1)
    disc[0] = np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(32) - 15.5)) < 10
    slices = to_slices(disc, 64)[0]
    assert (slices > 0.5).any(0).sum() == (slices > 0.5).any(1).sum() == 20
    np.testing.assert_array_equal(from_slices(slices[None], (1, 32, 64)), disc)


def test_masks_stay_zero_or_one():
    mask = np.zeros((1, 40, 40), np.uint8)
    mask[0, 10:20, 10:20] = 1
    slices = mask_to_slices(mask, 20)
    assert slices.dtype == np.uint8 and set(np.unique(slices)) == {0, 1}
    assert slices.sum() == 25


@pytest.mark.parametrize("size", [20, 40, 64])
def test_only_non_empty_planes_of_a_mask_are_resampled(monkeypatch, size):
    mask = np.zeros((5, 40, 32), np.uint8)
    mask[2, 5:20, 7:18] = mask[4, 30:36, 3:9] = 1
    expected = to_slices(mask, size) >= 0.5
    seen = []

    def counted(planes, size):
        seen.append(len(planes))
        return to_slices(planes, size)

    monkeypatch.setattr("pre2post.image.slices.to_slices", counted)
    np.testing.assert_array_equal(mask_to_slices(mask, size), expected)
    assert seen == [2] and not mask_to_slices(np.zeros_like(mask), size).any()


@pytest.mark.parametrize("size", [8, 16])
def test_a_volume_without_slices_has_none(size):
    for cut in (to_slices, mask_to_slices):
        assert cut(np.zeros((0, 16, 12)), size).shape == (0, size, size)


def test_too_few_slices_are_refused():
    with pytest.raises(ValueError, match="2 slices"):
        from_slices(np.zeros((2, 8, 8)), (3, 8, 8))
