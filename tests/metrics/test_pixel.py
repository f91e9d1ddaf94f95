import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import metrics as reference

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import chunks, mae, mse, nmse, nmse_of, psnr, psnr_of

TYPES = {"float64": 1.0, "float32": 1.0, "uint8": 255, "uint16": 65535}


def pair(kind: str, shape, seed=0):
    """Return a random image and a noisy copy, over the full range of the type."""
    rng = np.random.default_rng(seed)
    real = rng.random(shape)
    synthetic = np.clip(real + rng.normal(0, 0.2, shape), 0, 1)
    return tuple((TYPES[kind] * image).astype(kind) for image in (real, synthetic))


def expected(real, synthetic, data_range):
    """Compute the metrics of one pair, cast to float, with scikit-image."""
    real, synthetic = real.astype(float), synthetic.astype(float)
    return {
        "mse": reference.mean_squared_error(real, synthetic),
        "mae": np.abs(real - synthetic).mean(),
        "psnr": reference.peak_signal_noise_ratio(real, synthetic, data_range=data_range),
        "nmse": reference.normalized_root_mse(real, synthetic) ** 2,
    }


def functions(data_range):
    return {"mse": mse, "mae": mae, "nmse": nmse, "psnr": lambda *images: psnr(*images, data_range)}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["mse", "mae", "psnr", "nmse"])
def test_equals_reference_on_single_images_and_stacks(kind, name):
    real, synthetic = pair(kind, (3, 40, 33))
    wanted = [expected(r, s, TYPES[kind])[name] for r, s in zip(real, synthetic, strict=True)]
    function = functions(TYPES[kind])[name]
    np.testing.assert_allclose(function(real, synthetic), wanted, rtol=1e-6)
    np.testing.assert_allclose(function(real[1], synthetic[1]), wanted[1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16"])
def test_errors_equal_torchmetrics(kind):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional import mean_absolute_error, mean_squared_error

    real, synthetic = pair(kind, (40, 40), seed=1)
    tensors = [torch.from_numpy(image.astype(np.float64)) for image in (synthetic, real)]
    assert mse(real, synthetic) == pytest.approx(float(mean_squared_error(*tensors)), rel=1e-6)
    assert mae(real, synthetic) == pytest.approx(float(mean_absolute_error(*tensors)), rel=1e-6)


def test_integers_do_not_wrap():
    dark, bright = np.full((16, 16), 10, np.uint8), np.full((16, 16), 250, np.uint8)
    assert mse(dark, bright) == 240**2
    assert mae(dark, bright) == mae(bright, dark) == 240


@pytest.mark.parametrize("kind", TYPES)
def test_images_one_pixel_apart_and_constant_images(kind):
    real = np.full((32, 32), TYPES[kind] / 2).astype(kind)
    synthetic = real.copy()
    synthetic[15, 16] = TYPES[kind]
    for name, function in functions(TYPES[kind]).items():
        assert function(real, synthetic) == pytest.approx(expected(real, synthetic, TYPES[kind])[name], rel=1e-6), name
    assert mse(real, real) == nmse(real, real) == 0
    assert psnr(real, real, TYPES[kind]) == np.inf


def test_normalised_error_of_a_black_image():
    black, grey = np.zeros((3, 4)), np.full((3, 4), 0.5)
    assert nmse(black, grey) == np.inf
    assert nmse(black, black) == 0
    assert nmse(grey, black) == 1


def test_conversions_of_means_equal_the_metrics_of_images():
    real, synthetic = pair("uint16", (3, 20, 20))
    squared = mse(real, synthetic)
    np.testing.assert_allclose(psnr_of(squared, 65535), psnr(real, synthetic, 65535), rtol=1e-12)
    np.testing.assert_allclose(
        nmse_of(squared, np.square(real.astype(float)).mean(axis=(1, 2))), nmse(real, synthetic), rtol=1e-12
    )


def test_mask_chooses_pixels_and_an_empty_one_gives_nan():
    real, synthetic = pair("uint8", (3, 24, 24))
    mask = np.zeros(real.shape, bool)
    mask[0, 3:9, 4:20] = mask[1, 12, 12] = True
    difference = synthetic.astype(float) - real
    found = mae(real, synthetic, mask)
    assert found[0] == pytest.approx(np.abs(difference[0, 3:9, 4:20]).mean())
    assert found[1] == abs(difference[1, 12, 12])
    assert np.isnan(found[2])
    assert psnr(real, synthetic, 255, mask)[0] == pytest.approx(10 * np.log10(255**2 / mse(real, synthetic, mask)[0]))


@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 9), st.integers(1, 400))
def test_chunks_cover_a_stack_once_within_their_size(n, h, w, pixels):
    parts = list(chunks((n, h, w), pixels))
    assert [z for part in parts for z in range(n)[part]] == list(range(n))
    assert all((part.stop - part.start) * h * w <= max(pixels, h * w) for part in parts)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("function", [mse, mae, nmse])
def test_refuses_values_that_are_not_finite(function, bad):
    real, synthetic = pair("float32", (2, 20, 20))
    synthetic[1, 3, 4] = bad
    with pytest.raises(InputError, match=r"synthetic.*not finite.*1 of"):
        function(real, synthetic)


def test_refuses_other_shapes_types_and_parameters():
    image = np.zeros((20, 20))
    with pytest.raises(InputError, match="different shapes"):
        mse(image, image[:-1])
    with pytest.raises(InputError, match="neither an image"):
        mse(image[0], image[0])
    with pytest.raises(InputError, match="neither an image"):
        mse(image[:0], image[:0])
    with pytest.raises(InputError, match="no real numbers"):
        mae(image.astype(complex), image.astype(complex))
    with pytest.raises(InputError, match="mask"):
        mae(image, image, np.ones((3, 3), bool))
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="data_range"):
            psnr(image, image, wrong)
