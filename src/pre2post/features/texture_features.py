"""First-order and texture statistics of slices, similar to radiomics features, vectorised over slices.

A distance of these features is a fast substitute for the radiomics distance (FRD, arXiv 2412.01496). Its values differ
from FRD: these are statistics of entire slices instead of a region, and far fewer.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from pre2post.features.input_slices import check_slices

PERCENTILES = (50, 75, 90, 95, 99, 99.9)  # lower ones are air, where the scanner's blanking would dominate
BINS = 64  # of the histogram over normalised 0 to 1, and grey levels of the co-occurrences
OFFSETS = (1, 4)  # pixels between the two of a co-occurrence: neighbours, and small structures
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # y, x
PYRAMID_LEVELS = 4  # octaves of the Laplacian pyramid
PYRAMID_SIGMA = 1.0  # pixels, low-pass before halving: about the width of the 5-tap kernel of Burt and Adelson 1983
SMALLEST = 32  # pixels; the last level has four
BATCH = 16  # slices; fits the processor's cache at 128 pixels

NAMES = (
    "mean",
    "sd",
    "skewness",
    "kurtosis",
    *(f"percentile_{p}" for p in PERCENTILES),
    "entropy",
    "uniformity",
    "gradient_mean",
    "gradient_sd",
    "gradient_x",
    "gradient_y",
    *(f"band_{level}_{kind}" for level in range(PYRAMID_LEVELS) for kind in ("mean_absolute", "rms")),
    *(f"glcm_{offset}_{kind}" for offset in OFFSETS for kind in ("contrast", "homogeneity", "correlation")),
)


def texture_features(slices: np.ndarray) -> np.ndarray:
    """Return features (n, 30) float64, named in NAMES, of normalised slices (n, h, w)."""
    check_slices(slices, SMALLEST)
    return np.concatenate(
        [
            _features(np.asarray(slices[start : start + BATCH], dtype=np.float32))
            for start in range(0, len(slices), BATCH)
        ]
    )


def _features(images: np.ndarray) -> np.ndarray:
    levels = np.clip(images * BINS, 0, BINS - 1).astype(np.int16)
    columns = [*_first_order(images), *_histogram(levels), *_gradient(images), *_pyramid(images)]
    for offset in OFFSETS:
        columns += co_occurrence(levels, offset)
    return np.stack(columns, axis=1).astype(np.float64)


def _first_order(images: np.ndarray) -> list[np.ndarray]:
    """Compute moments and percentiles over all pixels; skewness and excess kurtosis of a constant image are 0."""
    pixels = np.sort(images.reshape(len(images), -1), axis=1).astype(np.float64)
    mean, sd = pixels.mean(axis=1), pixels.std(axis=1)
    z = (pixels - mean[:, None]) / np.where(sd > 0, sd, 1)[:, None]
    squared = np.square(z)
    skewness, kurtosis = (squared * z).mean(axis=1), np.square(squared).mean(axis=1) - 3 * (sd > 0)
    ranks = np.rint(np.array(PERCENTILES) / 100 * (pixels.shape[1] - 1)).astype(int)
    return [mean, sd, skewness, kurtosis, *pixels[:, ranks].T]


def _histogram(levels: np.ndarray) -> list[np.ndarray]:
    """Compute entropy in bits and uniformity (sum of squared shares) of the grey levels."""
    n = len(levels)
    index = levels.reshape(n, -1) + BINS * np.arange(n)[:, None]
    shares = np.bincount(index.ravel(), minlength=n * BINS).reshape(n, BINS) / (index.shape[1])
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return [-(shares * logarithms).sum(axis=1), np.square(shares).sum(axis=1)]


def _gradient(images: np.ndarray) -> list[np.ndarray]:
    """Compute mean and SD of the gradient magnitude, and the mean absolute change per pixel along x and along y."""
    along_x = np.abs(np.diff(images, axis=2))[:, :-1]
    along_y = np.abs(np.diff(images, axis=1))[:, :, :-1]
    magnitude = np.hypot(along_x, along_y)
    return [_mean(magnitude), magnitude.std(axis=(1, 2), dtype=np.float64), _mean(along_x), _mean(along_y)]


def _pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Compute mean absolute value and root mean square of each band of a Laplacian pyramid, finest first."""
    columns = []
    for _ in range(PYRAMID_LEVELS):
        low = gaussian_filter(images, (0, PYRAMID_SIGMA, PYRAMID_SIGMA))
        band = images - low
        columns += [_mean(np.abs(band)), np.sqrt(_mean(np.square(band)))]
        images = low[:, ::2, ::2]
    return columns


def co_occurrence(levels: np.ndarray, offset: int) -> list[np.ndarray]:
    """Compute contrast, homogeneity and correlation of grey level pairs (Haralick et al. 1973), means of directions.

    levels: (n, h, w) int16 below BINS. All three are expectations over the pairs, computed without the matrix. The
    correlation of a constant image is 1.
    """
    found = []
    for direction in DIRECTIONS:
        first, second = _pairs(levels, offset * direction[0], offset * direction[1])
        squared = np.square(first - second)
        homogeneity = _mean(_HOMOGENEITY[squared])
        mean = (_mean(first) + _mean(second)) / 2
        variance = (_mean(np.square(first)) + _mean(np.square(second))) / 2 - np.square(mean)
        covariance = _mean(first * second) - np.square(mean)
        correlation = np.divide(covariance, variance, out=np.ones_like(mean), where=variance > 1e-9)
        found.append((_mean(squared), homogeneity, correlation))
    return [np.mean(column, axis=0) for column in zip(*found, strict=True)]


_HOMOGENEITY = (1 / (1 + np.arange(BINS**2))).astype(np.float32)  # of a squared difference of levels


def _pairs(levels: np.ndarray, dy: int, dx: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that have a partner at the offset (dy, dx), dy >= 0, and these partners."""
    h, w = levels.shape[1:]
    left, right = max(0, -dx), min(w, w - dx)
    return levels[:, : h - dy, left:right], levels[:, dy:, left + dx : right + dx]


def _mean(images: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2), dtype=np.float64)
