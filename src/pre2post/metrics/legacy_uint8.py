"""The published metrics with their 8-bit wrap-around, only for comparisons with the registered values.

The published script passed 8-bit images to metrics that subtract and square in 8 bits. Differences and their squares
are therefore modulo 256. The registered MSE of 34.88 and PSNR of 32.91 dB result from that and are far from the true
error. Every value is labelled legacy_uint8 and never compared with a true MSE.
"""

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import check_shapes, psnr_of

RANGE = 255.0
METRICS = ("legacy_uint8_mae", "legacy_uint8_mse", "legacy_uint8_psnr")


def legacy_uint8(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Compute METRICS over all pixels of two equally shaped 8-bit arrays. Raises InputError for other types."""
    check_shapes(real, synthetic)
    real, synthetic = np.asarray(real), np.asarray(synthetic)
    if real.dtype != np.uint8 or synthetic.dtype != np.uint8:
        raise InputError(
            "legacy_uint8 metrics are defined for 8-bit images only",
            found=f"{real.dtype} and {synthetic.dtype}",
            expected="uint8",
        )
    wrapped = synthetic - real
    squared = float((wrapped * wrapped).mean(dtype=np.float64))
    return {
        "legacy_uint8_mae": float(wrapped.mean(dtype=np.float64)),
        "legacy_uint8_mse": squared,
        "legacy_uint8_psnr": float(psnr_of(squared, RANGE)),
    }


def to_uint8(volume: ArrayLike) -> np.ndarray:
    """Scale a volume from its minimum and maximum to 0 to 255, as the published conversion did with each phase."""
    values = np.asarray(volume, np.float64)
    low, span = values.min(), np.ptp(values)
    if not 0 < span < np.inf:
        raise InputError(
            "a volume of one value, or with NaN or infinity, cannot be scaled to 8 bits", found=f"range {span}"
        )
    return np.rint((values - low) / span * RANGE).astype(np.uint8)
