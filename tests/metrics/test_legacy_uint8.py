"""The published wrap-around against the library that causes it.

torchmetrics' MSE and MAE subtract and square 8-bit tensors in 8 bits, also today (its MAE tests a method for truth
instead of calling it, and so does not cast). In 2024, when the values were published, so did its PSNR. Version 1.9
casts first and returns the true PSNR, so this file holds the values of 1.3.1.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

from pre2post.metrics.legacy_uint8 import METRICS, legacy_uint8, to_uint8
from pre2post.metrics.pixel import mae, mse, psnr


def images(seed=0, shape=(40, 40)):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2)]


def as_published(real, synthetic):
    """Call what the published script called, with the same arguments."""
    tensors = torch.from_numpy(synthetic), torch.from_numpy(real)
    return float(mean_absolute_error(*tensors)), float(mean_squared_error(*tensors))


@pytest.mark.parametrize("shape", [(40, 40), (3, 17, 20), (1, 1)])
def test_errors_equal_torchmetrics_on_8_bit_tensors(shape):
    real, synthetic = images(1, shape)
    found = legacy_uint8(real, synthetic)
    assert [found[name] for name in METRICS[:2]] == pytest.approx(as_published(real, synthetic), rel=1e-6)


def test_all_equal_torchmetrics_1_3_1():
    found = legacy_uint8(*images())
    assert list(found) == list(METRICS)
    assert list(found.values()) == pytest.approx([126.71749877929688, 106.4625015258789, 27.858835220336914], rel=1e-6)


def test_psnr_is_that_of_the_wrapped_error_unlike_torchmetrics_today():
    real, synthetic = images()
    found = legacy_uint8(real, synthetic)["legacy_uint8_psnr"]
    assert found == pytest.approx(10 * np.log10(255**2 / as_published(real, synthetic)[1]), rel=1e-6)
    today = float(peak_signal_noise_ratio(torch.from_numpy(synthetic), torch.from_numpy(real), data_range=255.0))
    assert today == pytest.approx(float(psnr(real, synthetic, 255)), rel=1e-6)
    assert found > today + 15


def test_differs_from_the_true_metrics():
    real, synthetic = images()
    found = legacy_uint8(real, synthetic)
    assert found["legacy_uint8_mae"] > mae(real, synthetic) + 20
    assert found["legacy_uint8_mse"] < mse(real, synthetic) / 50


@given(st.integers(0, 255), st.integers(0, 255))
def test_one_pixel_by_hand(real, synthetic):
    found = legacy_uint8(np.array([[real]], np.uint8), np.array([[synthetic]], np.uint8))
    assert found["legacy_uint8_mae"] == (synthetic - real) % 256
    assert found["legacy_uint8_mse"] == (synthetic - real) ** 2 % 256


def test_small_differences_upwards_are_measured_right():
    """Up to 15 grey levels nothing wraps, and the published metrics equal the true ones."""
    real = images()[0] // 2
    synthetic = real + np.random.default_rng(5).integers(0, 16, real.shape, dtype=np.uint8)
    assert list(legacy_uint8(real, synthetic).values()) == pytest.approx(
        [float(mae(real, synthetic)), float(mse(real, synthetic)), float(psnr(real, synthetic, 255))]
    )


def test_equal_images_have_no_error():
    real = images()[0]
    assert legacy_uint8(real, real) == {"legacy_uint8_mae": 0, "legacy_uint8_mse": 0, "legacy_uint8_psnr": np.inf}


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint16, bool])
def test_refuses_other_types(kind, refused):
    image = images()[0]
    refused(lambda: legacy_uint8(image.astype(kind), image), "8-bit images only", np.dtype(kind).name)
    refused(lambda: legacy_uint8(image, image.astype(kind)), "8-bit images only", np.dtype(kind).name)


def test_refuses_other_shapes(refused):
    image = images()[0]
    refused(lambda: legacy_uint8(image, image[:-1]), "different shapes")


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 2)), min_size=2, max_size=30),
    st.sampled_from([np.float64, np.float32, np.int32]),
)
def test_scaling_to_8_bits_runs_from_minimum_to_maximum(values, kind):
    volume = np.array(values).astype(kind)
    if np.ptp(volume) == 0:
        return
    found = to_uint8(volume)
    assert found.dtype == np.uint8
    assert (found.min(), found.max()) == (0, 255)
    exact = (volume.astype(float) - float(volume.min())) / float(np.ptp(volume.astype(float))) * 255
    assert np.abs(found - exact).max() <= 0.5 + 1e-6
    order = np.argsort(volume, kind="stable")
    assert (np.diff(found[order].astype(int)) >= 0).all()


def test_scaling_by_hand():
    np.testing.assert_array_equal(to_uint8([[[10, 20], [30, 61]]]), [[[0, 50], [100, 255]]])


@pytest.mark.parametrize("volume", [np.zeros((2, 3, 4)), np.full((2, 2), 7, np.uint8), np.array([1.0, np.nan])])
def test_a_volume_that_has_no_range_is_refused(volume, refused):
    refused(lambda: to_uint8(volume), "cannot be scaled to 8 bits")
