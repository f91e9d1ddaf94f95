"""Metrics of one patient's volume in several regions: each map is computed once and averaged in every region."""

from collections.abc import Mapping

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair, check_shapes, chunks, nmse_of, psnr_of
from pre2post.metrics.ssim import SIGMA, holds_scales, interior, ms_ssim, ssim_map

METRICS = ("mae", "mse", "psnr", "nmse", "ssim", "ms_ssim")
SUMS = ("absolute", "squared", "power", "ssim", "pixels", "ssim_pixels", "ms_ssim")


def region_metrics(
    real, synthetic, regions: Mapping[str, np.ndarray | None], data_range: float, sigma: float = SIGMA
) -> dict[str, dict[str, float | None]]:
    """Region name -> METRICS over all voxels of the region in a volume (z, y, x).

    A region is a boolean mask of the volume's shape, or None for everything. Voxels are pooled over the slices, so a
    slice counts as much as it holds of the region, and PSNR is that of the pooled MSE. SSIM is that of the axial
    slices; under None it leaves out the image border, where the window is cut, as the usual whole-image SSIM does.
    MS-SSIM, which no mask can cut out, is the mean over slices under None; None for regions, or when slices are too
    small for its five scales.
    Raises InputError for unequal shapes, values not finite, or an empty region (named).
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
    """Adds what some slices hold of one region."""
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


def _checked(name: str, mask, shape: tuple[int, ...]) -> np.ndarray | None:
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
