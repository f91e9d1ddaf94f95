"""Metrics of one volume in several regions: each map is computed once and averaged in every region."""

from collections.abc import Mapping

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair, check_shapes, chunks, nmse_of, psnr_of
from pre2post.metrics.ssim import SIGMA, holds_scales, interior, ms_ssim, ssim_map

METRICS = ("mae", "mse", "psnr", "nmse", "ssim", "ms_ssim")
SUMS = ("absolute", "squared", "power", "ssim", "pixels", "ssim_pixels", "ms_ssim")


def region_metrics(
    real: np.ndarray,
    synthetic: np.ndarray,
    regions: Mapping[str, np.ndarray | None],
    data_range: float,
    sigma: float = SIGMA,
) -> dict[str, dict[str, float | None]]:
    """Return METRICS by region name, over all voxels of the region in volumes (z, y, x).

    regions: boolean masks of the volume's shape, or None for the entire volume.
    data_range: of the images, for PSNR and SSIM.
    sigma: of the SSIM window, in pixels.

    Voxels are pooled over slices: a slice has the weight of its voxels in the region, and PSNR is computed from the
    pooled MSE. SSIM is that of axial slices. For the entire volume it excludes the image border, as is usual.
    MS-SSIM is not defined in a mask: it is the mean over slices for the entire volume, and None for regions and for
    slices too small for five scales.

    Raises InputError for unequal shapes, values that are not finite, or an empty region (named).
    """
    check_shapes(real, synthetic)
    masks = {name: _checked(name, mask, np.shape(real)) for name, mask in regions.items()}
    sums = {name: dict.fromkeys(SUMS, 0.0) for name in masks}
    multiscale = any(mask is None for mask in masks.values()) and holds_scales(np.shape(real), sigma)
    for part in chunks(np.shape(real)):
        r, s = as_pair(real[part], synthetic[part])
        maps = {
            "absolute": np.abs(s - r),
            "squared": np.square(s - r),
            "power": np.square(r),
            "ssim": ssim_map(r, s, data_range, sigma),
        }
        scales = ms_ssim(r, s, data_range, sigma).sum() if multiscale else np.nan
        for name, mask in masks.items():
            _add(sums[name], maps, None if mask is None else mask[part], sigma)
            sums[name]["ms_ssim"] += scales if mask is None else np.nan
    return {name: _metrics(total, data_range, len(real)) for name, total in sums.items()}


def _add(sums: dict[str, float], maps: dict[str, np.ndarray], mask: np.ndarray | None, sigma: float) -> None:
    """Add the sums of one region over some slices."""
    if mask is not None and not mask.any():
        return
    inside = {name: values.ravel() if mask is None else values[mask] for name, values in maps.items()}
    if mask is None:
        inside["ssim"] = interior(maps["ssim"], sigma)
    for name, values in inside.items():
        sums[name] += values.sum()
    sums["pixels"] += inside["squared"].size
    sums["ssim_pixels"] += inside["ssim"].size


def _metrics(sums: dict[str, float], data_range: float, slices: int) -> dict[str, float | None]:
    squared = sums["squared"] / sums["pixels"]
    nmse = nmse_of(squared, sums["power"] / sums["pixels"])
    return {
        "mae": float(sums["absolute"] / sums["pixels"]),
        "mse": float(squared),
        "psnr": float(psnr_of(squared, data_range)),
        "nmse": float(nmse),
        "ssim": float(sums["ssim"] / sums["ssim_pixels"]),
        "ms_ssim": None if np.isnan(sums["ms_ssim"]) else float(sums["ms_ssim"] / slices),
    }


def _checked(name: str, mask: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if len(shape) != 3:
        raise InputError("this is not a volume", found=f"shape {shape}", expected="(z, y, x)")
    if mask is None:
        return None
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != shape:
        raise InputError(
            f"the mask of the region {name} has another shape than the volume", found=mask.shape, expected=shape
        )
    if not mask.any():
        raise InputError(f"the region {name} is empty", expected="at least one voxel")
    return mask
