"""Structural similarity, at one scale and at several: any number type in, float64 inside, one value an image out.

Gaussian windows, population covariance, reflected border: what scikit-image computes with gaussian_weights=True and
use_sample_covariance=False. OpenCV does the filtering, six times faster than scipy and equal to the last digits.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair, mean_in, positive

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III.C: C1 = (K1 L)^2, C2 = (K2 L)^2
SIGMA = 1.5  # pixels, Gaussian window of Wang et al. 2004
TRUNCATE = 3.5  # window radius in sigmas: 11 x 11 pixels at sigma 1.5, as Wang et al. use
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003, section 3.2; finest first


@dataclass(frozen=True)
class Structure:
    """Maps (h, w) of one scale: how alike luminance is, and contrast with structure; SSIM is their product."""

    luminance: np.ndarray
    contrast: np.ndarray

    @property
    def similarity(self) -> np.ndarray:
        return self.luminance * self.contrast


def ssim(real, synthetic, data_range: float, sigma: float = SIGMA, mask=None) -> np.ndarray:
    """Mean structural similarity, one value an image (Wang et al. 2004, equation 13).

    Without a mask: over the pixels whose whole window lies in the image. With a mask: the map over the mask, NaN where
    that is empty.
    """
    index = ssim_map(real, synthetic, data_range, sigma)
    return mean_in(interior(index, sigma), None) if mask is None else mean_in(index, mask)


def ssim_map(real, synthetic, data_range: float, sigma: float = SIGMA) -> np.ndarray:
    """Structural similarity around every pixel, shape of the input.

    Raises InputError when an image is smaller than the window.
    """
    real, synthetic = as_pair(real, synthetic)
    if real.ndim == 2:
        return _structure(real, synthetic, data_range, sigma).similarity
    return np.stack([_structure(r, s, data_range, sigma).similarity for r, s in zip(real, synthetic, strict=True)])


def ms_ssim(real, synthetic, data_range: float, sigma: float = SIGMA) -> np.ndarray:
    """Multi-scale structural similarity, one value an image (Wang, Simoncelli and Bovik 2003, equation 7).

    Five scales, each half as large as the one before. A negative similarity, which has no fractional power, counts
    as 0, as torchmetrics does. Raises InputError for an image that does not hold the window at the coarsest scale: at
    least 176 pixels a side are needed at sigma 1.5.
    """
    real, synthetic = as_pair(real, synthetic)
    if real.ndim == 2:
        return np.float64(structural_similarities(real, synthetic, data_range, sigma)[1])
    return np.array([structural_similarities(r, s, data_range, sigma)[1] for r, s in zip(real, synthetic, strict=True)])


def structural_similarities(
    real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float = SIGMA
) -> tuple[float, float]:
    """SSIM and MS-SSIM of one pair of float64 images (h, w): the finest scale is worked out once for both."""
    check_scales(real.shape, sigma)
    coarsest = len(SCALE_WEIGHTS) - 1
    parts = []
    for scale in range(coarsest + 1):
        if scale:
            real, synthetic = _halved(real), _halved(synthetic)
        maps = _structure(real, synthetic, data_range, sigma)
        if scale == 0:
            single = interior(maps.similarity, sigma).mean()
        parts.append(interior(maps.similarity if scale == coarsest else maps.contrast, sigma).mean())
    return float(single), float(np.prod(np.maximum(parts, 0) ** SCALE_WEIGHTS))


def interior(index: np.ndarray, sigma: float) -> np.ndarray:
    """The part of an SSIM map whose windows lie wholly in the image."""
    radius = _radius(sigma)
    return index[..., radius : index.shape[-2] - radius, radius : index.shape[-1] - radius]


def holds_scales(shape: tuple[int, ...], sigma: float = SIGMA) -> bool:
    """Whether images of this shape (..., h, w) are large enough for MS-SSIM: torchmetrics' condition."""
    return min(shape[-2:]) >= _smallest(sigma)


def check_scales(shape: tuple[int, ...], sigma: float = SIGMA) -> None:
    """Raises InputError unless images of this shape are large enough for MS-SSIM."""
    if not holds_scales(shape, sigma):
        raise InputError(
            "the image is too small for MS-SSIM",
            found=f"{shape[-2]} x {shape[-1]} pixels",
            expected=f"at least {_smallest(sigma)} a side at sigma {sigma}, for five scales",
        )


def _smallest(sigma: float) -> int:
    """Pixels a side that leave the whole window at the coarsest scale."""
    return (2 * _radius(sigma) + 1) * 2 ** (len(SCALE_WEIGHTS) - 1)


def _structure(real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float) -> Structure:
    """Both variances stand only as their sum in the formula, so four filtered images are enough."""
    data_range = positive(data_range, "data_range")
    window = 2 * _radius(sigma) + 1
    if min(real.shape) < window:
        raise InputError(
            "the image is smaller than the SSIM window",
            found=f"{real.shape[0]} x {real.shape[1]} pixels",
            expected=f"at least {window} x {window} at sigma {sigma}",
        )
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_r, mean_s = _blur(real, sigma), _blur(synthetic, sigma)
    product, power = mean_r * mean_s, np.square(mean_r) + np.square(mean_s)
    covariance = _blur(real * synthetic, sigma) - product
    variances = _blur(np.square(real) + np.square(synthetic), sigma) - power
    return Structure((2 * product + c1) / (power + c1), (2 * covariance + c2) / (variances + c2))


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is dropped, as the reference implementations do."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    return cv2.resize(image[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    kernel = _kernel(sigma)
    return cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT)


@lru_cache
def _kernel(sigma: float) -> np.ndarray:
    radius = _radius(sigma)
    kernel = np.exp(-np.square(np.arange(-radius, radius + 1)) / (2 * sigma**2))
    return kernel / kernel.sum()


def _radius(sigma: float) -> int:
    return int(TRUNCATE * positive(sigma, "sigma") + 0.5)
