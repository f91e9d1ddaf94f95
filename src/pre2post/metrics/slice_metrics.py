"""All pixel metrics and structural similarities of a stack of slices in one pass that reads each slice once."""

import numpy as np

from pre2post.core.errors import error_context
from pre2post.metrics.pixel import as_pair, check_shapes, nmse_of, psnr_of
from pre2post.metrics.ssim import SIGMA, holds_scales, interior, ssim_map, structural_similarities


def slice_metrics(
    real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float = SIGMA
) -> dict[str, np.ndarray]:
    """Return {"mae", "mse", "psnr", "nmse", "ssim", "ms_ssim"} of stacks (n, h, w): arrays (n,) over entire slices.

    "ms_ssim" is missing if the slices are too small for its five scales.
    Raises InputError for unequal shapes, or for values that are not finite (naming the slice).
    """
    check_shapes(real, synthetic)
    rows = []
    for place, pair in enumerate(zip(real, synthetic, strict=True)):
        with error_context(f"slice {place}: "):
            rows.append(_metrics(*as_pair(*pair), data_range, sigma))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _metrics(real: np.ndarray, synthetic: np.ndarray, data_range: float, sigma: float) -> dict[str, float]:
    """Compute the metrics of one pair of float64 images (h, w)."""
    error = synthetic - real
    squared, power = float(np.square(error).mean()), float(np.square(real).mean())
    found = {
        "mae": float(np.abs(error).mean()),
        "mse": squared,
        "psnr": float(psnr_of(squared, data_range)),
        "nmse": float(nmse_of(squared, power)),
    }
    if holds_scales(real.shape, sigma):
        found["ssim"], found["ms_ssim"] = structural_similarities(real, synthetic, data_range, sigma)
    else:
        found["ssim"] = float(interior(ssim_map(real, synthetic, data_range, sigma), sigma).mean())
    return found
