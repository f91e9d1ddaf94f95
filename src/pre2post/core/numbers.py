"""Numbers as they are written down."""

import math


def rounded(value: float | None) -> float | None:
    """Six digits, so that another machine's rounding does not show in a diff; None for what is not finite or missing.

    JSON has no word for infinity, which is the PSNR of equal images.
    """
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
