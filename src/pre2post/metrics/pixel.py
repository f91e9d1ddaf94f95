"""Pixel-wise errors of image pairs: any number type in, float64 inside, one value per image out.

Arrays are one image (h, w) or a stack of slices (n, h, w). Integers are cast before subtraction: the difference of
8-bit images in 8 bits wraps modulo 256, and its square wraps again.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError

CHUNK_PIXELS = 2**18  # float64 pixels per chunk: temporary arrays stay in the processor's cache


def mse(real: ArrayLike, synthetic: ArrayLike, mask: ArrayLike | None = None) -> np.ndarray:
    """Return the mean squared error per image, over `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return mean_in(np.square(synthetic - real), mask)


def mae(real: ArrayLike, synthetic: ArrayLike, mask: ArrayLike | None = None) -> np.ndarray:
    """Return the mean absolute error per image, over `mask` if given (NaN where it is empty)."""
    real, synthetic = as_pair(real, synthetic)
    return mean_in(np.abs(synthetic - real), mask)


def psnr(real: ArrayLike, synthetic: ArrayLike, data_range: float, mask: ArrayLike | None = None) -> np.ndarray:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range^2 / MSE); infinite for equal images."""
    return psnr_of(mse(real, synthetic, mask), data_range)


def nmse(real: ArrayLike, synthetic: ArrayLike, mask: ArrayLike | None = None) -> np.ndarray:
    """Return sum(error^2) / sum(real^2); for a black real image infinite, or 0 if the synthetic one is black too."""
    real, synthetic = as_pair(real, synthetic)
    return nmse_of(mean_in(np.square(synthetic - real), mask), mean_in(np.square(real), mask))


def psnr_of(squared_error: ArrayLike, data_range: float) -> np.ndarray:
    """Convert mean squared errors to PSNR in dB."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(positive(data_range, "data_range") ** 2 / np.asarray(squared_error, np.float64))


def nmse_of(squared_error: ArrayLike, power: ArrayLike) -> np.ndarray:
    """Divide mean squared errors by `power`, the mean squares of the real image; 0 for no error."""
    errors, powers = np.asarray(squared_error, np.float64), np.asarray(power, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(errors == 0, 0.0, errors / powers)


def as_pair(real: ArrayLike, synthetic: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Convert both to float64. Raises InputError as check_shapes does, and for values that are not finite."""
    check_shapes(real, synthetic)
    return _finite(real, "real"), _finite(synthetic, "synthetic")


def check_shapes(real: ArrayLike, synthetic: ArrayLike) -> None:
    """Raise InputError unless both are images (h, w) or non-empty stacks (n, h, w) of equal shape."""
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
            expected="(h, w) or (n, h, w), without a 0",
        )


def chunks(shape: tuple[int, ...], pixels: int | None = None) -> Iterator[slice]:
    """Return slices along the first axis of a stack (n, ..., h, w), of about `pixels` each (default CHUNK_PIXELS)."""
    step = max(1, (pixels or CHUNK_PIXELS) // math.prod(shape[1:]))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def mean_in(values: np.ndarray, mask: ArrayLike | None) -> np.ndarray:
    """Return the mean over the last two axes, in the mask if there is one (NaN where it is empty)."""
    if mask is None:
        return values.mean(axis=(-2, -1))
    inside = np.asarray(mask, dtype=bool)
    if inside.shape != values.shape:
        raise InputError("the mask has another shape than the images", found=inside.shape, expected=values.shape)
    with np.errstate(invalid="ignore"):
        return np.where(inside, values, 0).sum(axis=(-2, -1)) / inside.sum(axis=(-2, -1))


def positive(value: float, name: str) -> float:
    """Return the value. Raises InputError unless it is a finite number above 0."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a positive number", found=value)
    return float(value)


def _finite(images: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(images)
    if array.dtype.kind not in "buif":
        raise InputError(f"the {name} image holds no real numbers", found=f"type {array.dtype}")
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise InputError(
            f"the {name} image holds values that are not finite",
            found=f"{bad} of {array.size} pixels",
            expected="no NaN or infinity",
        )
    return array.astype(np.float64, copy=False)
