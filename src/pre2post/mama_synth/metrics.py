"""Metrics of the challenge MAMA-SYNTH 2026 on single slices, by the conventions of its evaluator.

Images are (h, w), z-scored with one mean and standard deviation for the whole challenge. MSE is quality.pixel.mse and
Dice segmentation.measures.dice; FRD v1, LPIPS and the two AUROC are of sets and have modules of their own.
"""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import as_pair

MEAN, SD = 107.41193853581365, 219.96180535228203  # intensities of the pre-contrast volumes of its 1,506 patients
LPIPS_SIGMAS = 5.0  # LPIPS sees -5 to 5 as -1 to 1: enhancement lies far in the tail of pre-contrast values
SSIM_RANGE = 2 * LPIPS_SIGMAS  # data_range of SSIM: that of the same clipped values
SSIM_WINDOW = 7  # pixels, uniform: scikit-image's default
PERCENTILE = 95  # of the surface distances


def to_z_score(intensities) -> np.ndarray:
    """Scanner units to the challenge's z-score, float64."""
    return (np.asarray(intensities, dtype=np.float64) - MEAN) / SD


def from_z_score(values) -> np.ndarray:
    """The challenge's z-score to scanner units, float64."""
    return np.asarray(values, dtype=np.float64) * SD + MEAN


def lpips_range(image) -> np.ndarray:
    """A z-scored image as LPIPS takes it: clipped at 5 standard deviations, from -1 to 1."""
    return np.clip(np.asarray(image, dtype=np.float64), -LPIPS_SIGMAS, LPIPS_SIGMAS) / LPIPS_SIGMAS


def tumour_ssim(real, synthetic, mask) -> float:
    """Structural similarity of two z-scored images (h, w), its map averaged over the pixels of a mask.

    scikit-image's with its default uniform window and sample covariance, unlike quality.pixel.ssim, which has Wang's
    Gaussian one. Raises InputError for an image smaller than the window or an empty mask.
    """
    from skimage.metrics import structural_similarity

    real, synthetic = as_pair(real, synthetic)
    mask = np.asarray(mask) != 0
    if real.ndim != 2 or min(real.shape) < SSIM_WINDOW:
        raise InputError(
            "the image is smaller than the SSIM window",
            found=f"shape {real.shape}",
            expected=f"at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels",
        )
    if mask.shape != real.shape or not mask.any():
        raise InputError(
            "SSIM needs a mask of the image's shape that is not empty",
            expected=real.shape,
            found=f"shape {mask.shape}, {np.count_nonzero(mask)} pixels inside",
        )
    _, index = structural_similarity(synthetic, real, data_range=SSIM_RANGE, full=True)
    return float(index[mask].mean())


def hausdorff_95(predicted, true) -> float:
    """95th percentile of the surface distances of two masks (h, w), in pixels; 0 for two empty masks, inf for one.

    The evaluator's own definition: from every border pixel of each mask to the nearest pixel of the other one, 0 where
    it lies inside that; both directions in one pool. Border pixels have an outside pixel, or the image's edge, among
    their four neighbours. Spacing is ignored.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape:
        raise InputError("masks of two shapes cannot be compared", found=f"{predicted.shape} and {true.shape}")
    if not predicted.any() or not true.any():
        return float("inf") if predicted.any() or true.any() else 0.0
    distances = [
        distance_transform_edt(~other)[one & ~binary_erosion(one)]
        for one, other in ((predicted, true), (true, predicted))
    ]
    return float(np.percentile(np.concatenate(distances), PERCENTILE))
