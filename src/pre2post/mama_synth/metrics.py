"""Metrics of the challenge MAMA-SYNTH 2026 on single slices, with the conventions of its evaluator.

Images are (h, w), z-scored with one mean and standard deviation for all cases. MSE is metrics.pixel.mse, Dice is
metrics.mask_metrics.dice. FRD v1, LPIPS and the two AUROC have their own modules.
"""

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair

MEAN, SD = 107.41193853581365, 219.96180535228203  # intensities of the pre-contrast volumes of its 1,506 patients
LPIPS_SIGMAS = 5.0  # LPIPS takes -5 to 5 as -1 to 1: enhancement is far in the tail of pre-contrast values
SSIM_RANGE = 2 * LPIPS_SIGMAS  # data_range of SSIM: the range of the same clipped values
SSIM_WINDOW = 7  # pixels, uniform: scikit-image's default
PERCENTILE = 95  # of the surface distances


def to_z_score(intensities: ArrayLike) -> np.ndarray:
    """Convert scanner units to the challenge's z-score, float64."""
    return (np.asarray(intensities, dtype=np.float64) - MEAN) / SD


def from_z_score(values: ArrayLike) -> np.ndarray:
    """Convert the challenge's z-score to scanner units, float64."""
    return np.asarray(values, dtype=np.float64) * SD + MEAN


def lpips_range(image: ArrayLike) -> np.ndarray:
    """Clip a z-scored image at 5 standard deviations and scale it to [-1, 1], the range of LPIPS."""
    return np.clip(np.asarray(image, dtype=np.float64), -LPIPS_SIGMAS, LPIPS_SIGMAS) / LPIPS_SIGMAS


def tumour_ssim(real: ArrayLike, synthetic: ArrayLike, mask: ArrayLike) -> float:
    """Return the structural similarity of two z-scored images (h, w), averaged over the pixels of a mask.

    It is scikit-image's with its default uniform window and sample covariance; metrics.ssim has Wang's Gaussian window.

    Raises InputError for an image smaller than the window or an empty mask.
    """
    from skimage.metrics import structural_similarity

    real, synthetic = as_pair(real, synthetic)
    inside = np.asarray(mask) != 0
    if real.ndim != 2 or min(real.shape) < SSIM_WINDOW:
        raise InputError(
            "the image is smaller than the SSIM window",
            found=f"shape {real.shape}",
            expected=f"at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels",
        )
    if inside.shape != real.shape or not inside.any():
        raise InputError(
            "SSIM needs a mask of the image's shape that is not empty",
            expected=real.shape,
            found=f"shape {inside.shape}, {np.count_nonzero(inside)} pixels inside",
        )
    _, index = structural_similarity(synthetic, real, data_range=SSIM_RANGE, full=True)
    return float(index[inside].mean())


def hausdorff_95(predicted: ArrayLike, true: ArrayLike) -> float:
    """Return the 95th percentile of the surface distances of two masks (h, w), in pixels; the spacing is ignored.

    Two empty masks give 0, one empty mask infinity. This is the evaluator's own definition: the distances from every
    border pixel of each mask to the nearest pixel of the other mask, 0 inside it, pooled over both directions. A
    border pixel has a pixel outside the mask, or the image's edge, among its four neighbours.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    first, second = np.asarray(predicted) != 0, np.asarray(true) != 0
    if first.shape != second.shape:
        raise InputError("the masks have different shapes", found=f"{first.shape} and {second.shape}")
    if not first.any() or not second.any():
        return float("inf") if first.any() or second.any() else 0.0
    distances = [
        distance_transform_edt(~other)[mask & ~binary_erosion(mask)]
        for mask, other in ((first, second), (second, first))
    ]
    return float(np.percentile(np.concatenate(distances), PERCENTILE))
