"""Pixel-wise errors of image pairs: any number type in, float64 inside, one value an image out.

Arrays are one image (h, w) or a stack of slices (n, h, w). Integers are cast before anything is subtracted: a
difference of 8-bit images taken in 8 bits wraps modulo 256, and its square wraps again.
"""

import math
from collections.abc import Iterator

import numpy as np

from pre2post.core.errors import InputError

CHUNK_PIXELS = 2**18  # float64 images worked on at a time: the temporaries stay in the processor's cache


def mse(real, synthetic, mask=None) -> np.ndarray:
    """Mean squared error, one value an image; over the pixels of `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return mean_in(np.square(synthetic - real), mask)


def mae(real, synthetic, mask=None) -> np.ndarray:
    """Mean absolute error, one value an image; over the pixels of `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return mean_in(np.abs(synthetic - real), mask)


def psnr(real, synthetic, data_range: float, mask=None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 10 log10(data_range^2 / MSE); infinite for equal images."""
    return psnr_of(mse(real, synthetic, mask), data_range)


def nmse(real, synthetic, mask=None) -> np.ndarray:
    """sum(error^2) / sum(real^2); for a black real image infinite, or 0 if the synthetic one is black too."""
    real, synthetic = as_pair(real, synthetic)
    return nmse_of(mean_in(np.square(synthetic - real), mask), mean_in(np.square(real), mask))


def psnr_of(squared_error, data_range: float) -> np.ndarray:
    """PSNR in dB of mean squared errors."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(positive(data_range, "data_range") ** 2 / np.asarray(squared_error, np.float64))


def nmse_of(squared_error, power) -> np.ndarray:
    """Normalised MSE of mean squared errors and mean squares of the real image."""
    squared_error, power = np.asarray(squared_error, np.float64), np.asarray(power, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squared_error == 0, 0.0, squared_error / power)


def as_pair(real, synthetic) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64. Raises InputError for different shapes, other than 2 or 3 dimensions, or a value not finite."""
    check_shapes(real, synthetic)
    return _finite(real, "real"), _finite(synthetic, "synthetic")


def check_shapes(real, synthetic) -> None:
    """Raises InputError unless both are equally shaped images (h, w) or non-empty stacks (n, h, w)."""
    shapes = np.shape(real), np.shape(synthetic)
    if shapes[0] != shapes[1]:
        raise InputError(
            "the images to compare have different shapes",
            expected="equal shapes",
            found=f"real {shapes[0]}, synthetic {shapes[1]}",
        )
    if len(shapes[0]) not in (2, 3) or 0 in shapes[0]:
        raise InputError(
            "this is neither an image nor a stack of slices",
            found=f"shape {shapes[0]}",
            expected="(h, w) or (n, h, w), nothing of it 0",
        )


def chunks(shape: tuple[int, ...], pixels: int | None = None) -> Iterator[slice]:
    """Slices along the first axis of a stack (n, ..., h, w), about `pixels` each (CHUNK_PIXELS unless given)."""
    step = max(1, (pixels or CHUNK_PIXELS) // math.prod(shape[1:]))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def mean_in(values: np.ndarray, mask) -> np.ndarray:
    """Mean over the last two axes, in the mask if there is one (NaN where it is empty)."""
    if mask is None:
        return values.mean(axis=(-2, -1))
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != values.shape:
        raise InputError("the mask has another shape than the images", found=mask.shape, expected=values.shape)
    with np.errstate(invalid="ignore"):
        return np.where(mask, values, 0).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1))


def positive(value: float, name: str) -> float:
    """The value; raises InputError unless it is a finite number above 0."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a positive number", found=value)
    return float(value)


def _finite(images, name: str) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype.kind not in "buif":
        raise InputError(f"the {name} image holds no real numbers", found=f"type {images.dtype}")
    bad = images.size - np.count_nonzero(np.isfinite(images))
    images = images.astype(np.float64, copy=False)
    if bad:
        raise InputError(
            f"the {name} image holds values that are not finite",
            found=f"{bad} of {images.size} pixels",
            expected="no NaN or infinity",
        )
    return images
