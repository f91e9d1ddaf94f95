"""False and missed enhancement (post minus pre), which an error averaged over a breast does not show."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.masks import lesions
from pre2post.metrics.pixel import as_pair

SIGMA = 1.0  # pixels in the plane of a slice: smooth before pieces are formed, so that noise neither joins nor splits
SMALLEST_ML = 0.5  # of a piece of enhancement: a sphere of 10 mm, about the smallest mass that a reader would report
SHARED = 0.5  # a piece is false, or missed, if less than this share of it enhances in the other volume

Spacing = tuple[float, float, float]  # (x, y, z) in mm


def enhancement_shares(
    pre: np.ndarray, real: np.ndarray, synthetic: np.ndarray, breast: np.ndarray, lesion: np.ndarray, threshold: float
) -> dict[str, float]:
    """Return {"false", "missed", "real"}: shares (0 to 1) of the breast outside the lesion, of volumes (z, y, x).

    A voxel enhances if post minus pre is at least `threshold`, in the units of the images.
    "false": enhances in the synthetic volume but not in the real one. "missed": the reverse. "real": enhances in the
    real one.

    Raises InputError for unequal shapes, values that are not finite, or no breast outside the lesion.
    """
    outside = np.asarray(breast, bool) & ~np.asarray(lesion, bool)
    real, synthetic = (_enhances(pre, post, threshold) for post in (real, synthetic))
    if outside.shape != real.shape:
        raise InputError("the breast has another shape than the volumes", found=outside.shape, expected=real.shape)
    if not outside.any():
        raise InputError("there is no breast outside the lesion", expected="at least one voxel")
    real, synthetic = real[outside], synthetic[outside]
    return {
        "false": float((synthetic & ~real).mean()),
        "missed": float((real & ~synthetic).mean()),
        "real": float(real.mean()),
    }


def enhancing_pieces(
    pre: np.ndarray,
    real: np.ndarray,
    synthetic: np.ndarray,
    breast: np.ndarray,
    lesion: np.ndarray,
    threshold: float,
    spacing: Spacing,
) -> dict[str, int]:
    """Count the pieces of enhancement of at least SMALLEST_ML in volumes (z, y, x), one connected component each.

    A voxel enhances if post minus pre, smoothed by SIGMA, is at least `threshold`.
    "pieces": in the synthetic volume, in the breast outside the lesion. "false_pieces": those that do not enhance in
    the real volume, by SHARED. "missed_pieces": pieces of the real volume in the whole breast, lesion included, that do
    not enhance in the synthetic one.
    """
    breast, lesion = np.asarray(breast, bool), np.asarray(lesion, bool)
    in_real, in_synthetic = (_enhances_smoothly(pre, post, threshold) & breast for post in (real, synthetic))
    pieces, false = _count(in_synthetic & ~lesion, in_real, spacing)
    return {"pieces": pieces, "false_pieces": false, "missed_pieces": _count(in_real, in_synthetic, spacing)[1]}


def _count(mask: np.ndarray, other: np.ndarray, spacing: Spacing) -> tuple[int, int]:
    """Return the number of large pieces of a mask, and of those with too little of the other mask in them."""
    labels, count = lesions(mask, spacing, SMALLEST_ML)
    sizes, shared = (np.bincount(of, minlength=count + 1)[1:] for of in (labels.ravel(), labels[other]))
    return count, int(np.count_nonzero(shared < SHARED * sizes))


def _enhances(pre: np.ndarray, post: np.ndarray, threshold: float) -> np.ndarray:
    pre, post = as_pair(pre, post)
    return post - pre >= threshold


def _enhances_smoothly(pre: np.ndarray, post: np.ndarray, threshold: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    pre, post = as_pair(pre, post)
    return gaussian_filter(post - pre, (0, SIGMA, SIGMA), mode="nearest") >= threshold
