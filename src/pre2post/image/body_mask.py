"""Tissue against air in a pre-contrast volume in LPS: rows run from front to back, the front ones hold mostly air."""

import numpy as np

FRONT = 0.4  # of the rows: air and breasts, no lung, whose noise differs from that of air
SMOOTHING = 1.0  # pixels, in the plane, at least: the noise shrinks by 3.5 and edges stay within a pixel
SMOOTHING_MM = 1.5  # and at least this: small pixels are noisier
WINDOW = 5  # pixels a side, in which the spread of air is measured: small, since noise fills a narrow rim only
QUIETEST = 15  # per cent of the windows that hold noise: air, since tissue spreads more
RAYLEIGH_RATIO = 1.913  # mean over standard deviation of the magnitude of noise: sqrt(pi / (4 - pi))
ABOVE_AIR = 1.6  # times the mean of air: 4 standard deviations of smoothed air, as dark as fat of an SNR of 1.6
PEELS = 2  # layers of pixels for every pixel of smoothing, which it may have added outside a bright skin
EDGE = 0.5  # of the brightest neighbour: a pixel half filled with skin


def foreground_share(array: np.ndarray) -> np.ndarray:
    """Share (z,) of the pixels of every slice of a volume (z, y, x) above the noise of air, specks left out."""
    from scipy.ndimage import binary_opening

    return binary_opening(foreground(array), np.ones((1, 3, 3), bool)).mean(axis=(1, 2))


def tissue_planes(array: np.ndarray, smallest_share: float) -> np.ndarray:
    """The z of the slices of a pre-contrast volume (z, y, x) in which at least this share of pixels is no air."""
    return np.flatnonzero(foreground_share(array) >= smallest_share)


def foreground(array: np.ndarray, sigma: float = SMOOTHING) -> np.ndarray:
    """Pixels (z, y, x) whose value, smoothed by `sigma` pixels, lies above the noise of air; lungs are holes."""
    return smoothed(array, sigma) > ABOVE_AIR * air_level(array)


def body_mask(array: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The body (z, y, x), filled slice by slice: the largest connected piece of foreground. `spacing` in mm."""
    from scipy.ndimage import binary_fill_holes, binary_opening

    sigma = max(SMOOTHING, SMOOTHING_MM / spacing[0])
    filled = np.stack([binary_fill_holes(one) for one in foreground(array, sigma)])
    open_ = binary_opening(filled, np.ones((1, 3, 3), bool), iterations=round(PEELS * sigma))
    return _peel(_largest(open_), array, sigma)


def air_level(array: np.ndarray) -> float:
    """About the mean of air that holds noise (a fifth less at worst), in scanner units; 0 when the air is set to 0.

    Scanners blank part of the air, so its most common value says nothing. The spread of the quietest windows that hold
    noise does: the magnitude of pure noise has a mean of 1.913 standard deviations (Gudbjartsson and Patz 1995).
    """
    from scipy.ndimage import uniform_filter

    front = _finite(array)[:, : max(WINDOW, int(array.shape[1] * FRONT))].astype(np.float64)
    window = (1, WINDOW, WINDOW)
    variance = np.maximum(uniform_filter(front**2, window) - uniform_filter(front, window) ** 2, 0)
    spread = np.sqrt(variance[uniform_filter((front > 0).astype(np.float64), window) > 0.9])
    noisy = spread[spread > 0]
    return RAYLEIGH_RATIO * float(np.percentile(noisy, QUIETEST)) if noisy.size else 0.0


def smoothed(array: np.ndarray, sigma: float, across: float = 0.0) -> np.ndarray:
    """Gaussian smoothing by `sigma` pixels in the plane and `across` slices; what is not finite counts as 0."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(_finite(array), (across, sigma, sigma), mode="nearest")


def _finite(array: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(array, np.float32), nan=0, posinf=0, neginf=0)


def _largest(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import label

    pieces, count = label(mask)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if count else mask


def _peel(mask: np.ndarray, array: np.ndarray, sigma: float) -> np.ndarray:
    """Takes off border pixels darker than half of what is beside them: smoothing by `sigma` carried skin outwards."""
    from scipy.ndimage import binary_erosion, maximum_filter

    sharp = smoothed(array, sigma / 2, 0.5)
    near = 2 * round(PEELS * sigma) + 1
    dark = sharp < EDGE * maximum_filter(sharp, (1, near, near))
    for _ in range(round(PEELS * sigma)):
        border = mask & ~binary_erosion(mask, np.ones((1, 3, 3), bool), border_value=1)
        mask = mask & ~(border & dark)
    return mask
