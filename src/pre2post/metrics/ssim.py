"""Structural similarity at one scale (SSIM) and at several (MS-SSIM): float64 inside, one value per image out.

SSIM equals scikit-image with gaussian_weights=True and use_sample_covariance=False: Gaussian windows, population
covariance, reflected border. MS-SSIM equals MONAI. OpenCV filters six times as fast as scipy, with equal results.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair, mean_in, positive

K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III.C: C1 = (K1 L)^2, C2 = (K2 L)^2
SIGMA = 1.5  # pixels, Gaussian window of Wang et al. 2004
TRUNCATE = 3.5  # window radius in sigmas: 11 x 11 pixels at sigma 1.5, as in Wang et al.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003, section 3.2; finest first


@dataclass(frozen=True)
class Structure:
    """Maps (h, w) of one scale: luminance, and contrast times structure; SSIM is their product."""

    luminance: np.ndarray
    contrast: np.ndarray

    @property
    def similarity(self) -> np.ndarray:
        return self.luminance * self.contrast


def ssim(
    real: ArrayLike, synthetic: ArrayLike, data_range: float, sigma: float = SIGMA, mask: ArrayLike | None = None
) -> np.ndarray:
    """Return the mean structural similarity per image (Wang et al. 2004, equation 13).

    Without a mask the mean is over the pixels whose window is inside the image. With a mask it is over the mask, and
    NaN where that is empty.
    """
    index = ssim_map(real, synthetic, data_range, sigma)
    return mean_in(interior(index, sigma), None) if mask is None else mean_in(index, mask)


def ssim_map(real: ArrayLike, synthetic: ArrayLike, data_range: float, sigma: float = SIGMA) -> np.ndarray:
    """Return the structural similarity around every pixel, in the shape of the input.

    Raises InputError if an image is smaller than the window.
    """
    a, b = as_pair(real, synthetic)
    if a.ndim == 2:
        return _structure(a, b, data_range, sigma).similarity
    return np.stack([_structure(r, s, data_range, sigma).similarity for r, s in zip(a, b, strict=True)])


def ms_ssim(real: ArrayLike, synthetic: ArrayLike, data_range: float, sigma: float = SIGMA) -> np.ndarray | np.float64:
    """Return the multi-scale structural similarity per image (Wang, Simoncelli and Bovik 2003, equation 7).

    Five scales, each half the size of the previous one. A negative similarity, which has no fractional power, counts as
    0. Equal to MONAI, which also averages every scale over the windows inside the image. torchmetrics differs at the
    coarsest scale, where it includes windows beyond the border, filled by reflection (up to 0.02 on real slices).

    Raises InputError if the window does not fit into the coarsest scale: sides need 176 pixels at sigma 1.5.
    """
    a, b = as_pair(real, synthetic)
    if a.ndim == 2:
        return np.float64(structural_similarities(a, b, data_range, sigma)[1])
    return np.array([structural_similarities(r, s, data_range, sigma)[1] for r, s in zip(a, b, strict=True)])


def structural_similarities(
    real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float = SIGMA
) -> tuple[float, float]:
    """Return SSIM and MS-SSIM of one pair of float64 images (h, w); the finest scale is computed once for both."""
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
    """Return the part of an SSIM map whose windows are inside the image."""
    radius = _radius(sigma)
    return index[..., radius : index.shape[-2] - radius, radius : index.shape[-1] - radius]


def holds_scales(shape: tuple[int, ...], sigma: float = SIGMA) -> bool:
    """Return whether images of shape (..., h, w) are large enough for MS-SSIM; the condition is torchmetrics'."""
    return min(shape[-2:]) >= _smallest(sigma)


def check_scales(shape: tuple[int, ...], sigma: float = SIGMA) -> None:
    """Raise InputError unless images of this shape are large enough for MS-SSIM."""
    if not holds_scales(shape, sigma):
        raise InputError(
            "the image is too small for MS-SSIM",
            found=f"{shape[-2]} x {shape[-1]} pixels",
            expected=f"sides of at least {_smallest(sigma)} at sigma {sigma}, for five scales",
        )


def _smallest(sigma: float) -> int:
    """Return the smallest side, in pixels, whose coarsest scale holds the window."""
    return (2 * _radius(sigma) + 1) * 2 ** (len(SCALE_WEIGHTS) - 1)


def _structure(real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float) -> Structure:
    """Compute both maps of one scale. The formula needs only the sum of the variances, hence four filtered images."""
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
    """Average 2 x 2 pixels; drop an odd last row or column, like the reference implementations."""
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
