"""Properties of a lesion in one image that may decide whether a segmenter detects it."""

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.features.texture_features import BINS
from pre2post.image.masks import bounding_box, window

SHELL = 10.0  # mm around a lesion, its reference: two of the thickest slices, and still within the same breast

Spacing = tuple[float, float, float]  # (x, y, z) in mm, as a Volume has it; arrays are (z, y, x)


def lesion_shell(lesion: np.ndarray, tissue: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Return the tissue (z, y, x), bool, outside the lesion and within SHELL mm of it, between voxel centres.

    `tissue` is bool. Raises ValueError for an empty lesion.
    """
    from scipy.ndimage import distance_transform_edt

    near = tuple(
        slice(max(0, part.start - reach), part.stop + reach)
        for part, reach in zip(
            window(bounding_box(lesion)), np.ceil(SHELL / np.array(spacing[::-1])).astype(int), strict=True
        )
    )
    outside = np.asarray(lesion)[near] == 0
    shell = np.zeros(np.shape(lesion), bool)
    shell[near] = outside & (distance_transform_edt(outside, sampling=spacing[::-1]) <= SHELL) & tissue[near]
    return shell


def image_properties(image: np.ndarray, lesion: np.ndarray, shell: np.ndarray) -> dict[str, float | None]:
    """Return {"contrast", "heterogeneity", "entropy"} of a lesion in a normalised image (z, y, x); masks are bool.

    contrast: contrast to noise, (mean of the lesion - mean of the shell) / SD of the shell.
    heterogeneity: SD / mean of the lesion.
    entropy: of the lesion's grey levels, in bits, in 64 bins from 0 to 1; limited by the number of voxels.
    None if the denominator is not above 0 or the shell is empty.

    Raises InputError for an empty lesion or values that are not finite.
    """
    inside, around = (np.asarray(image)[mask].astype(np.float64) for mask in (lesion, shell))
    if not inside.size or not (np.isfinite(inside).all() and np.isfinite(around).all()):
        raise InputError(
            "the properties of this lesion are not defined",
            found=f"{inside.size} voxels inside, {around.size} around",
            expected="at least one voxel inside, and finite values",
        )
    noise = around.std() if around.size else 0.0
    return {
        "contrast": float((inside.mean() - around.mean()) / noise) if noise > 0 else None,
        "heterogeneity": float(inside.std() / inside.mean()) if inside.mean() > 0 else None,
        "entropy": entropy(inside),
    }


def enhancement_error(real: np.ndarray, synthetic: np.ndarray, lesion: np.ndarray) -> float:
    """Return the mean of the synthetic minus that of the real image in the lesion; negative: too little enhancement.

    Both images have the same pre-contrast image, so this is the error of the enhancement. `lesion` is bool.
    """
    real, synthetic = (np.asarray(image)[lesion].astype(np.float64) for image in (real, synthetic))
    return float((synthetic - real).mean())


def entropy(values: ArrayLike) -> float:
    """Return the Shannon entropy in bits of values in BINS bins from 0 to 1; the outer bins include values outside."""
    from scipy import stats

    levels = np.clip(np.floor(np.asarray(values, np.float64) * BINS), 0, BINS - 1).astype(int)
    return float(stats.entropy(np.bincount(levels), base=2))
