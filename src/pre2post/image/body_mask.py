"""Separation of tissue and air in a pre-contrast volume in LPS, whose rows run from anterior (air) to posterior."""

import numpy as np

from pre2post.image.volume import Vector

FRONT = 0.4  # fraction of the rows: air and breasts, without lung, whose noise differs from that of air
SMOOTHING = 1.0  # pixels in plane, at least: reduces noise by 3.5 and moves edges by less than a pixel
SMOOTHING_MM = 1.5  # mm, at least: small pixels are noisier
WINDOW = 5  # pixels per side, to measure the spread of air: small, since noise may fill only a narrow rim
QUIETEST = 15  # percentile of the spread over windows with noise: air, since tissue has a larger spread
RAYLEIGH_RATIO = 1.913  # mean over standard deviation of noise magnitude: sqrt(pi / (4 - pi))
ABOVE_AIR = 1.6  # times the mean of air: 4 standard deviations of smoothed air; fat needs an SNR of 1.6
PEELS = 2  # pixel layers per pixel of smoothing, which it may have added outside bright skin
EDGE = 0.5  # of the brightest neighbour: a pixel half filled with skin


def foreground_fraction(array: np.ndarray) -> np.ndarray:
    """Return the fraction (z,) of foreground pixels in each slice of a volume (z, y, x), without specks."""
    from scipy.ndimage import binary_opening

    return binary_opening(foreground(array), np.ones((1, 3, 3), bool)).mean(axis=(1, 2))


def tissue_planes(array: np.ndarray, min_fraction: float) -> np.ndarray:
    """Return the z of the slices of a pre-contrast volume (z, y, x) with at least this fraction of foreground."""
    return np.flatnonzero(foreground_fraction(array) >= min_fraction)


def foreground(array: np.ndarray, sigma: float = SMOOTHING) -> np.ndarray:
    """Return the pixels (z, y, x) that, smoothed by `sigma` pixels, are above the noise of air; lungs are holes."""
    return smoothed(array, sigma) > ABOVE_AIR * air_level(array)


def body_mask(array: np.ndarray, spacing: Vector) -> np.ndarray:
    """Return the body (z, y, x): the largest component of foreground, filled per slice. `spacing` in mm."""
    from scipy.ndimage import binary_fill_holes, binary_opening

    sigma = max(SMOOTHING, SMOOTHING_MM / spacing[0])
    filled = np.stack([binary_fill_holes(one) for one in foreground(array, sigma)])
    open_ = binary_opening(filled, np.ones((1, 3, 3), bool), iterations=round(PEELS * sigma))
    return _peel(_largest(open_), array, sigma)


def air_level(array: np.ndarray) -> float:
    """Estimate the mean of air with noise, in scanner units, at most a fifth too low; 0 if the air is set to 0.

    Scanners blank part of the air, so its most common value is uninformative. Use the spread of the quietest windows
    with noise: the magnitude of pure noise has a mean of 1.913 standard deviations (Gudbjartsson and Patz 1995).
    """
    from scipy.ndimage import uniform_filter

    front = _finite(array)[:, : max(WINDOW, int(array.shape[1] * FRONT))].astype(np.float64)
    window = (1, WINDOW, WINDOW)
    variance = np.maximum(uniform_filter(front**2, window) - uniform_filter(front, window) ** 2, 0)
    spread = np.sqrt(variance[uniform_filter((front > 0).astype(np.float64), window) > 0.9])
    noisy = spread[spread > 0]
    return RAYLEIGH_RATIO * float(np.percentile(noisy, QUIETEST)) if noisy.size else 0.0


def smoothed(array: np.ndarray, sigma: float, across: float = 0.0) -> np.ndarray:
    """Smooth by a Gaussian of `sigma` pixels in plane and `across` slices; NaN and infinity count as 0."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(_finite(array), (across, sigma, sigma), mode="nearest")


def _finite(array: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(array, np.float32), nan=0, posinf=0, neginf=0)


def _largest(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import label

    pieces, count = label(mask)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if count else mask


def _peel(mask: np.ndarray, array: np.ndarray, sigma: float) -> np.ndarray:
    """Remove border pixels darker than half of their brightest neighbour; smoothing by `sigma` moved skin outwards."""
    from scipy.ndimage import binary_erosion, maximum_filter

    sharp = smoothed(array, sigma / 2, 0.5)
    near = 2 * round(PEELS * sigma) + 1
    dark = sharp < EDGE * maximum_filter(sharp, (1, near, near))
    for _ in range(round(PEELS * sigma)):
        border = mask & ~binary_erosion(mask, np.ones((1, 3, 3), bool), border_value=1)
        mask = mask & ~(border & dark)
    return mask
