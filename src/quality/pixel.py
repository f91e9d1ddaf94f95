"""Pixel-wise metrics and SSIM of image pairs: any number type in, float64 inside, one value an image out.

Arrays are one image (h, w) or a stack of slices (n, h, w). Integers are cast before anything is subtracted: a
difference of 8-bit images taken in 8 bits wraps modulo 256, and its square wraps again.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.errors import InputError

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III.C: C1 = (K1 L)^2, C2 = (K2 L)^2
SIGMA = 1.5          # pixels, Gaussian window of Wang et al. 2004
TRUNCATE = 3.5       # window radius in sigmas: 11 x 11 pixels at sigma 1.5, as Wang et al. use
CHUNK_PIXELS = 2**18  # float64 images worked on at a time: the temporaries stay in the processor's cache

METRICS = ("mae", "mse", "psnr", "nmse", "ssim")


def mse(real, synthetic, mask=None) -> np.ndarray:
    """Mean squared error, one value an image; over the pixels of `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return _mean(np.square(synthetic - real), mask)


def mae(real, synthetic, mask=None) -> np.ndarray:
    """Mean absolute error, one value an image; over the pixels of `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return _mean(np.abs(synthetic - real), mask)


def psnr(real, synthetic, data_range: float, mask=None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 10 log10(data_range^2 / MSE); infinite for equal images."""
    return psnr_of(mse(real, synthetic, mask), data_range)


def nmse(real, synthetic, mask=None) -> np.ndarray:
    """sum(error^2) / sum(real^2); for a black real image infinite, or 0 if the synthetic one is black too."""
    real, synthetic = as_pair(real, synthetic)
    return nmse_of(_mean(np.square(synthetic - real), mask), _mean(np.square(real), mask))


def ssim(real, synthetic, data_range: float, sigma: float = SIGMA, mask=None) -> np.ndarray:
    """Mean structural similarity, one value an image (Wang et al. 2004, equation 13).

    Without a mask: over the pixels whose whole window lies in the image, as scikit-image with gaussian_weights=True and
    use_sample_covariance=False. With a mask: the map (reflected at the border) over the mask, NaN where that is empty.
    """
    index = ssim_map(real, synthetic, data_range, sigma)
    return _mean(interior(index, sigma), None) if mask is None else _mean(index, mask)


def ssim_map(real, synthetic, data_range: float, sigma: float = SIGMA) -> np.ndarray:
    """Structural similarity around every pixel, shape of the input, population covariance, border by reflection.

    Both variances stand only as their sum in the formula, so four filtered images are enough.
    Raises InputError when an image is smaller than the window.
    """
    real, synthetic = as_pair(real, synthetic)
    data_range = _positive(data_range, "data_range")
    window = 2 * _radius(sigma) + 1
    if min(real.shape[-2:]) < window:
        raise InputError("the image is smaller than the SSIM window",
                         found=f"{real.shape[-2]} x {real.shape[-1]} pixels",
                         expected=f"at least {window} x {window} at sigma {sigma}")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_r, mean_s = _blur(real, sigma), _blur(synthetic, sigma)
    product, power = mean_r * mean_s, np.square(mean_r) + np.square(mean_s)
    covariance = _blur(real * synthetic, sigma) - product
    variances = _blur(np.square(real) + np.square(synthetic), sigma) - power
    return (2 * product + c1) * (2 * covariance + c2) / ((power + c1) * (variances + c2))


def slice_metrics(real, synthetic, data_range: float, sigma: float = SIGMA) -> dict[str, np.ndarray]:
    """All of METRICS for a stack (n, h, w): name -> (n,) values over whole slices, a few slices in memory at a time."""
    check_shapes(real, synthetic)
    parts = []
    for part in chunks(real.shape):
        r, s = as_pair(real[part], synthetic[part])
        squared = mse(r, s)
        parts.append({"mae": mae(r, s), "mse": squared, "psnr": psnr_of(squared, data_range),
                      "nmse": nmse_of(squared, _mean(np.square(r), None)), "ssim": ssim(r, s, data_range, sigma)})
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def as_pair(real, synthetic) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64. Raises InputError for different shapes, other than 2 or 3 dimensions, or a value not finite."""
    check_shapes(real, synthetic)
    return _finite(real, "real"), _finite(synthetic, "synthetic")


def check_shapes(real, synthetic) -> None:
    """Raises InputError unless both are equally shaped images (h, w) or non-empty stacks (n, h, w)."""
    shapes = np.shape(real), np.shape(synthetic)
    if shapes[0] != shapes[1]:
        raise InputError("the images to compare have different shapes", expected="equal shapes",
                         found=f"real {shapes[0]}, synthetic {shapes[1]}")
    if len(shapes[0]) not in (2, 3) or 0 in shapes[0]:
        raise InputError("this is neither an image nor a stack of slices", found=f"shape {shapes[0]}",
                         expected="(h, w) or (n, h, w), nothing of it 0")


def chunks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices along the first axis of a stack (n, h, w), about CHUNK_PIXELS each."""
    step = max(1, CHUNK_PIXELS // (shape[1] * shape[2]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def interior(index: np.ndarray, sigma: float) -> np.ndarray:
    """The part of an SSIM map whose windows lie wholly in the image."""
    radius = _radius(sigma)
    return index[..., radius:index.shape[-2] - radius, radius:index.shape[-1] - radius]


def psnr_of(squared_error, data_range: float) -> np.ndarray:
    """PSNR in dB of mean squared errors."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(_positive(data_range, "data_range") ** 2 / np.asarray(squared_error, np.float64))


def nmse_of(squared_error, power) -> np.ndarray:
    """Normalised MSE of mean squared errors and mean squares of the real image."""
    squared_error, power = np.asarray(squared_error, np.float64), np.asarray(power, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squared_error == 0, 0.0, squared_error / power)


def _mean(values: np.ndarray, mask) -> np.ndarray:
    """Mean over the last two axes, in the mask if there is one."""
    if mask is None:
        return values.mean(axis=(-2, -1))
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != values.shape:
        raise InputError("the mask has another shape than the images", found=mask.shape, expected=values.shape)
    with np.errstate(invalid="ignore"):
        return np.where(mask, values, 0).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1))


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(images, (0,) * (images.ndim - 2) + (sigma, sigma), truncate=TRUNCATE)


def _radius(sigma: float) -> int:
    return int(TRUNCATE * _positive(sigma, "sigma") + 0.5)


def _positive(value: float, name: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a positive number", found=value)
    return float(value)


def _finite(images, name: str) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype.kind not in "buif":
        raise InputError(f"the {name} image holds no real numbers", found=f"type {images.dtype}")
    images = images.astype(np.float64, copy=False)
    bad = images.size - np.count_nonzero(np.isfinite(images))
    if bad:
        raise InputError(f"the {name} image holds values that are not finite", found=f"{bad} of {images.size} pixels",
                         expected="no NaN or infinity")
    return images
