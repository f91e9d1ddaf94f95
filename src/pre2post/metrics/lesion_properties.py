"""What a lesion looks like in one image: the properties that may decide whether a segmenter finds it there."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.features.texture_features import BINS
from pre2post.image.masks import bounding_box, window

SHELL = 10.0  # mm around a lesion that it is compared with: two of the thickest slices, and still its own breast

Spacing = tuple[float, float, float]  # (x, y, z) in mm, as a Volume has it; arrays are (z, y, x)


def lesion_shell(lesion: np.ndarray, tissue: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Tissue (z, y, x), bool, outside the lesion whose voxel centres lie within SHELL mm of one of the lesion's.

    `tissue` is bool; a ValueError for an empty lesion.
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


def image_properties(image, lesion: np.ndarray, shell: np.ndarray) -> dict[str, float | None]:
    """{"contrast", "heterogeneity", "entropy"} of a lesion in a normalised image (z, y, x); masks are bool.

    contrast: contrast to noise, mean inside minus mean of the shell, over the SD of the shell. heterogeneity: SD over
    mean inside. entropy: of the grey levels inside, in bits, in 64 bins over normalised 0 to 1; a lesion of few voxels
    cannot have much. None where the denominator is no number above 0, or there is no shell.
    Raises InputError for an empty lesion or values that are not finite.
    """
    inside, around = (np.asarray(image)[mask].astype(np.float64) for mask in (lesion, shell))
    if not inside.size or not (np.isfinite(inside).all() and np.isfinite(around).all()):
        raise InputError(
            "the lesion has no properties",
            found=f"{inside.size} voxels inside, {around.size} around",
            expected="at least one voxel inside, and finite values",
        )
    noise = around.std() if around.size else 0.0
    return {
        "contrast": float((inside.mean() - around.mean()) / noise) if noise > 0 else None,
        "heterogeneity": float(inside.std() / inside.mean()) if inside.mean() > 0 else None,
        "entropy": entropy(inside),
    }


def enhancement_error(real, synthetic, lesion: np.ndarray) -> float:
    """Mean of the synthetic minus that of the real image inside the lesion, normalised: below 0, too little contrast.

    Both share the pre-contrast image, so this is the error of the enhancement. `lesion` is bool.
    """
    real, synthetic = (np.asarray(image)[lesion].astype(np.float64) for image in (real, synthetic))
    return float((synthetic - real).mean())


def entropy(values: np.ndarray) -> float:
    """Shannon entropy in bits of normalised values in BINS bins from 0 to 1, what lies beyond in the outer ones."""
    from scipy import stats

    levels = np.clip(np.floor(np.asarray(values, np.float64) * BINS), 0, BINS - 1).astype(int)
    return float(stats.entropy(np.bincount(levels), base=2))
