"""The published metrics as their code computed them, wrap-around and all: only to compare with the registered figures.

The published script handed 8-bit images to metrics that subtract and square in 8 bits, so that differences, and then
their squares, are taken modulo 256. The registered MSE of 34.88 and PSNR of 32.91 dB stem from that and lie far from
the true error. Whatever this gives is called legacy_uint8 wherever it is shown, and never compared with a true MSE.
"""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import check_shapes, psnr_of

RANGE = 255.0
METRICS = ("legacy_uint8_mae", "legacy_uint8_mse", "legacy_uint8_psnr")


def legacy_uint8(real, synthetic) -> dict[str, float]:
    """METRICS of two 8-bit images or stacks of any equal shape, over all pixels. Raises InputError for other types."""
    check_shapes(real, synthetic)
    real, synthetic = np.asarray(real), np.asarray(synthetic)
    if real.dtype != np.uint8 or synthetic.dtype != np.uint8:
        raise InputError(
            "the published wrap-around exists for 8-bit images only",
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


def to_uint8(volume) -> np.ndarray:
    """A volume scaled from its own minimum to maximum to 0 to 255, as the published conversion did with each phase."""
    volume = np.asarray(volume, np.float64)
    low, span = volume.min(), np.ptp(volume)
    if not 0 < span < np.inf:
        raise InputError(
            "a volume of one value, or with NaN or infinity, cannot be scaled to 8 bits", found=f"range {span}"
        )
    return np.rint((volume - low) / span * RANGE).astype(np.uint8)
