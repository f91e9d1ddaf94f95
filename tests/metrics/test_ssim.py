"""SSIM, MS-SSIM and all slice metrics in one pass against scikit-image, MONAI and torchmetrics."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from pre2post.metrics.pixel import mae, mse, nmse, psnr
from pre2post.metrics.slice_metrics import slice_metrics
from pre2post.metrics.ssim import SCALE_WEIGHTS, holds_scales, ms_ssim, ssim, ssim_map

TYPES = {"float64": 1.0, "float32": 1.0, "uint8": 255, "uint16": 65535}
LARGE = (177, 190)  # odd and even: an odd row is dropped for the next scale
CROP = 5  # radius of the window at sigma 1.5


def pair(kind: str, shape, seed=0):
    """Return a smooth image and a noisy copy, over the full range of the type."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    real = np.clip(0.5 + 0.3 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 0.1, shape), 0, 1)
    synthetic = np.clip(real + rng.normal(0, 0.1, shape), 0, 1)
    return tuple((TYPES[kind] * image).astype(kind) for image in (real, synthetic))


def one_pixel_apart(kind: str, shape):
    real = np.full(shape, TYPES[kind] / 2).astype(kind)
    synthetic = real.copy()
    synthetic[shape[0] // 2, shape[1] // 2] = TYPES[kind]
    return real, synthetic


def by_scikit_image(real, synthetic, data_range, sigma=1.5):
    return structural_similarity(
        real.astype(float),
        synthetic.astype(float),
        data_range=data_range,
        gaussian_weights=True,
        sigma=sigma,
        use_sample_covariance=False,
    )


def tensors(real, synthetic):
    return [torch.from_numpy(image.astype(np.float64))[None, None] for image in (synthetic, real)]


def by_torchmetrics(real, synthetic, data_range):
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    images = tensors(real, synthetic)
    return float(multiscale_structural_similarity_index_measure(*images, data_range=float(data_range), sigma=1.5))


def by_torchmetrics_inside(real, synthetic, data_range):
    """torchmetrics' MS-SSIM without its border.

    At the coarsest scale only, torchmetrics includes windows that extend beyond the border, filled by reflection. Wang
    et al. 2003 and MONAI exclude them. Here the similarity of that scale is replaced by the mean of its map inside.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    images = tensors(real, synthetic)
    coarsest = [torch.nn.functional.avg_pool2d(image, 2) for image in images]
    for _ in range(len(SCALE_WEIGHTS) - 2):
        coarsest = [torch.nn.functional.avg_pool2d(image, 2) for image in coarsest]
    similarity, image = structural_similarity_index_measure(
        *coarsest, data_range=float(data_range), sigma=1.5, return_full_image=True
    )
    inside = image[..., CROP:-CROP, CROP:-CROP].mean()
    return by_torchmetrics(real, synthetic, data_range) * float(inside / similarity) ** SCALE_WEIGHTS[-1]


def by_monai(real, synthetic, data_range):
    from monai.metrics.regression import MultiScaleSSIMMetric

    metric = MultiScaleSSIMMetric(
        spatial_dims=2, data_range=float(data_range), kernel_type="gaussian", kernel_size=11, kernel_sigma=1.5
    )
    return float(metric(*tensors(real, synthetic)))


def pairs_with_a_border():
    """Pairs whose content and error reach the border, with their range. MONAI's float32 needs small means."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: LARGE[0], : LARGE[1]] / LARGE[0]
    noise, error = rng.normal(size=(2, *LARGE))
    rising = np.sin(9 * x * y) + x + y - 1 + 0.3 * noise
    ramp = np.clip(x + 0.3 * noise, 0, 1)
    return {
        "noise": (noise, noise + 0.5 * error, 4.0),
        "error at the border": (rising, rising + 1.5 * (x**4 + y**4) * error, 4.0),
        "ramp": (ramp, np.clip(ramp + 0.5 * x**3 * error, 0, 1), 1.0),
    }


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(40, 33), (11, 64), (177, 190)])
def test_ssim_equals_scikit_image(kind, shape):
    real, synthetic = pair(kind, (2, *shape))
    wanted = [by_scikit_image(r, s, TYPES[kind]) for r, s in zip(real, synthetic, strict=True)]
    np.testing.assert_allclose(ssim(real, synthetic, TYPES[kind]), wanted, rtol=1e-6)
    assert ssim(real[1], synthetic[1], TYPES[kind]) == pytest.approx(wanted[1], rel=1e-6)


@pytest.mark.parametrize(("sigma", "data_range"), [(0.8, 1.0), (2.5, 1.0), (1.5, 3.0), (2.5, 0.2)])
def test_sigma_and_data_range_are_used(sigma, data_range):
    real, synthetic = pair("float64", (40, 41))
    wanted = by_scikit_image(real, synthetic, data_range, sigma)
    assert ssim(real, synthetic, data_range, sigma) == pytest.approx(wanted, rel=1e-9)
    assert abs(wanted - by_scikit_image(real, synthetic, 1.0)) > 1e-3


@pytest.mark.parametrize("kind", TYPES)
def test_ssim_equals_monai(kind):
    from monai.metrics.regression import SSIMMetric

    real, synthetic = pair(kind, (40, 33))
    metric = SSIMMetric(spatial_dims=2, data_range=TYPES[kind], kernel_type="gaussian", win_size=11, kernel_sigma=1.5)
    wanted = float(metric(*tensors(real, synthetic)))  # in float32
    assert ssim(real, synthetic, TYPES[kind]) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(176, 176), LARGE])
def test_ms_ssim_equals_torchmetrics_without_its_border(kind, shape):
    real, synthetic = pair(kind, shape)
    assert ms_ssim(real, synthetic, TYPES[kind]) == pytest.approx(
        by_torchmetrics_inside(real, synthetic, TYPES[kind]), abs=1e-6
    )


@pytest.mark.parametrize("case", pairs_with_a_border().values(), ids=pairs_with_a_border())
def test_ms_ssim_equals_monai_and_differs_from_torchmetrics_by_its_border(case):
    found = ms_ssim(*case)
    assert found == pytest.approx(by_monai(*case), abs=1e-6)
    assert found == pytest.approx(by_torchmetrics_inside(*case), abs=1e-6)
    assert abs(found - by_torchmetrics(*case)) > 1e-3


@pytest.mark.parametrize("kind", TYPES)
def test_ms_ssim_equals_monai_in_every_type(kind):
    real, synthetic = pair(kind, LARGE)
    assert ms_ssim(real, synthetic, TYPES[kind]) == pytest.approx(by_monai(real, synthetic, TYPES[kind]), abs=1e-5)


def test_ms_ssim_of_a_stack_is_that_of_its_slices():
    real, synthetic = pair("uint8", (3, *LARGE))
    one_by_one = [ms_ssim(r, s, 255) for r, s in zip(real, synthetic, strict=True)]
    np.testing.assert_array_equal(ms_ssim(real, synthetic, 255), one_by_one)
    assert len(set(one_by_one)) == 3


@pytest.mark.parametrize("kind", TYPES)
def test_images_one_pixel_apart(kind):
    real, synthetic = one_pixel_apart(kind, LARGE)
    assert ssim(real, synthetic, TYPES[kind]) == pytest.approx(by_scikit_image(real, synthetic, TYPES[kind]), abs=1e-6)
    assert ms_ssim(real, synthetic, TYPES[kind]) == pytest.approx(
        by_torchmetrics_inside(real, synthetic, TYPES[kind]), abs=1e-6
    )
    assert ssim(real, synthetic, TYPES[kind]) < 1


@pytest.mark.parametrize("kind", TYPES)
def test_equal_images_have_similarity_1(kind):
    for image in (np.zeros(LARGE, kind), np.full(LARGE, TYPES[kind]).astype(kind), pair(kind, LARGE)[0]):
        assert ssim(image, image, TYPES[kind]) == pytest.approx(1, abs=1e-9)
        assert ms_ssim(image, image, TYPES[kind]) == pytest.approx(1, abs=1e-9)


def test_constant_images_differ_by_their_brightness_only():
    """Without variance, SSIM is (2 a b + C1) / (a^2 + b^2 + C1)."""
    wanted = (2 * 0.2 * 0.7 + 1e-4) / (0.2**2 + 0.7**2 + 1e-4)
    dark, bright = np.full(LARGE, 0.2), np.full(LARGE, 0.7)
    assert ssim(dark, bright, 1.0) == pytest.approx(wanted, rel=1e-9)
    assert ms_ssim(dark, bright, 1.0) == pytest.approx(wanted ** SCALE_WEIGHTS[-1], rel=1e-9)


def test_a_negative_similarity_counts_as_0_in_ms_ssim():
    real = pair("float64", LARGE)[0]
    assert ssim(real, 1 - real, 1.0) < 0
    assert ms_ssim(real, 1 - real, 1.0) == 0


def test_map_follows_the_equation_at_one_pixel():
    """Wang et al. 2004, equation 13, written out with an explicit window."""
    real, synthetic = pair("float64", (30, 30), seed=2)
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    x, y = real[7:18, 9:20], synthetic[7:18, 9:20]
    mx, my = (weights * x).sum(), (weights * y).sum()
    vx, vy, c = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum(), (weights * (x - mx) * (y - my)).sum()
    wanted = (2 * mx * my + 1e-4) * (2 * c + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim_map(real, synthetic, 1.0)[12, 14] == pytest.approx(wanted, rel=1e-12)


def test_map_equals_that_of_scikit_image_to_the_border():
    real, synthetic = pair("uint8", (30, 35))
    wanted = structural_similarity(
        real, synthetic, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )[1]
    np.testing.assert_allclose(ssim_map(real, synthetic, 255), wanted, atol=1e-6)


def test_mask_chooses_pixels_of_the_map_and_an_empty_one_gives_nan():
    real, synthetic = pair("uint8", (3, 24, 24))
    mask = np.zeros(real.shape, bool)
    mask[0, 3:9, 4:20] = mask[1, 12, 12] = True
    found, maps = ssim(real, synthetic, 255, mask=mask), ssim_map(real, synthetic, 255)
    assert found[0] == pytest.approx(maps[0, 3:9, 4:20].mean(), rel=1e-12)
    assert found[1] == maps[1, 12, 12]
    assert np.isnan(found[2])


@pytest.mark.parametrize("shape", [(160, 200), (161, 200), (200, 175), (176, 176)])
def test_the_smallest_image_for_ms_ssim_is_that_of_torchmetrics(shape, refused):
    """The window must fit into the image halved four times."""
    real, synthetic = pair("float64", shape)
    try:
        by_torchmetrics(real, synthetic, 1.0)
    except ValueError:
        assert not holds_scales(shape)
        refused(lambda: ms_ssim(real, synthetic, 1.0), "too small for MS-SSIM", f"{shape[0]} x {shape[1]} pixels")
    else:
        assert holds_scales(shape)
        assert 0 < ms_ssim(real, synthetic, 1.0) < 1


def test_refuses_images_smaller_than_the_window(refused):
    image = np.zeros((20, 30))
    refused(lambda: ssim(image[:10], image[:10], 1.0), "smaller than the SSIM window", "10 x 30", "at least 11 x 11")
    refused(lambda: ssim(image, image, 1.0, sigma=3.0), "at least 23 x 23 at sigma 3.0")
    refused(lambda: ms_ssim(image, image, 1.0), "too small for MS-SSIM", "20 x 30")


def test_refuses_a_range_or_sigma_that_is_not_positive(refused):
    image = np.zeros((20, 20))
    for wrong in (0, -1, np.nan, np.inf):
        refused(lambda wrong=wrong: ssim(image, image, wrong), "data_range must be a positive number")
        refused(lambda wrong=wrong: ssim(image, image, 1.0, wrong), "sigma must be a positive number")


@pytest.mark.parametrize("kind", TYPES)
def test_slice_metrics_are_the_single_functions(kind):
    real, synthetic = pair(kind, (3, *LARGE))
    data_range = TYPES[kind]
    found = slice_metrics(real, synthetic, data_range)
    wanted = {
        "mae": mae(real, synthetic),
        "mse": mse(real, synthetic),
        "psnr": psnr(real, synthetic, data_range),
        "nmse": nmse(real, synthetic),
        "ssim": ssim(real, synthetic, data_range),
        "ms_ssim": ms_ssim(real, synthetic, data_range),
    }
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


def test_slice_metrics_use_sigma():
    real, synthetic = pair("float32", (2, 200, 200))
    found = slice_metrics(real, synthetic, 2.0, sigma=0.8)
    np.testing.assert_allclose(found["ssim"], ssim(real, synthetic, 2.0, 0.8), rtol=1e-12)
    np.testing.assert_allclose(found["ms_ssim"], ms_ssim(real, synthetic, 2.0, 0.8), rtol=1e-12)


@pytest.mark.parametrize("side", [64, 164, 175])
def test_slice_metrics_of_small_slices_have_no_ms_ssim(side):
    real, synthetic = pair("float32", (2, side, 200))
    found = slice_metrics(real, synthetic, 1.0)
    assert list(found) == ["mae", "mse", "psnr", "nmse", "ssim"]
    np.testing.assert_allclose(found["ssim"], ssim(real, synthetic, 1.0), rtol=1e-12)


def test_chunks_do_not_change_slice_metrics(monkeypatch):
    real, synthetic = pair("float32", (7, 20, 20))
    whole = slice_metrics(real, synthetic, 1.0)
    monkeypatch.setattr("pre2post.metrics.pixel.CHUNK_PIXELS", 800)
    for name, values in slice_metrics(real, synthetic, 1.0).items():
        np.testing.assert_array_equal(values, whole[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_slice_metrics_name_the_slice_with_bad_values(bad, refused):
    real, synthetic = pair("float32", (6, 20, 20))
    synthetic[4, 3, 4] = bad
    refused(lambda: slice_metrics(real, synthetic, 1.0), "slice 4: ", "synthetic", "not finite", "1 of 400")


def test_slice_metrics_refuse_other_shapes(refused):
    stack = np.zeros((2, 20, 20))
    refused(lambda: slice_metrics(stack, stack[:1], 1.0), "different shapes", "(2, 20, 20)", "(1, 20, 20)")
