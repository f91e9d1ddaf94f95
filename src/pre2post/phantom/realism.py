"""Measures of how hard a cohort is, comparable with real slices.

Arrays are (z, y, x), volumes in units of the 99.9th percentile of pre. `tumour` is the truth, or a reader's mask.
"""

import numpy as np

TOP = 99.9  # percentile of pre that is the unit of intensity
THRESHOLDS = np.arange(0.5, 4.0, 0.1)
ENHANCES = (
    0.5  # relative enhancement above which computer aids colour a voxel: Williams et al., Radiology 244:94 (2007)
)
FLOOR = 0.15  # lowest pre in that ratio: below it is noise
SMOOTHING = 1.5  # mm
SMALLEST = 0.05  # ml, smallest enhancing component that a reader sees


def in_units_of_pre(pre: np.ndarray, *volumes: np.ndarray) -> list[np.ndarray]:
    """Return `pre` and further phases of the patient, divided by the 99.9th percentile of `pre`."""
    unit = np.percentile(pre, TOP)
    return [pre / unit, *(volume / unit for volume in volumes)]


def threshold_dice(post: np.ndarray, tumour: np.ndarray, breasts: np.ndarray) -> np.ndarray:
    """Return the Dice of the largest connected component above each of THRESHOLDS within the breasts.

    The best single threshold of a cohort is that of the highest mean over its patients.
    """
    from scipy.ndimage import label

    found = np.zeros(len(THRESHOLDS))
    for place, threshold in enumerate(THRESHOLDS):
        pieces, count = label((post > threshold) & breasts)
        if count:
            largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
            found[place] = 2 * (largest & tumour).sum() / (largest.sum() + tumour.sum())
    return found


def pre_level(pre: np.ndarray, tumour: np.ndarray) -> float:
    """Return the mean of the lesion before contrast."""
    return float(pre[tumour].mean())


def brighter_area(post: np.ndarray, tumour: np.ndarray) -> float:
    """Return the pixels outside the lesion brighter than its mean, in lesion areas, in the whole main slice."""
    main = tumour.sum(axis=(1, 2)).argmax()
    lesion, image = tumour[main], post[main]
    return float(((image > image[lesion].mean()) & ~lesion).sum() / lesion.sum())


def rank_in_subtraction(
    pre: np.ndarray, post: np.ndarray, tumour: np.ndarray, breasts: np.ndarray, spacing: tuple[float, float, float]
) -> float:
    """Return the rank, by total enhancement, of the tumour among the enhancing components; infinity: not among them.

    `spacing` is (x, y, z) in mm.
    """
    from scipy.ndimage import gaussian_filter, label

    sigma = [SMOOTHING / size for size in reversed(spacing)]
    gained, before = gaussian_filter(post - pre, sigma), gaussian_filter(pre, sigma)
    pieces, count = label((gained > ENHANCES * np.maximum(before, FLOOR)) & breasts)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(spacing) / 1000
    weights = np.bincount(pieces.ravel(), gained.ravel(), minlength=count + 1)
    weights[(sizes < SMALLEST) | (np.arange(count + 1) == 0)] = 0
    shared = np.bincount(pieces[tumour], minlength=count + 1) * (weights > 0)
    return float(1 + (weights > weights[shared.argmax()]).sum()) if shared.any() else np.inf


def contrast_to_noise(pre: np.ndarray, post: np.ndarray, tumour: np.ndarray, gland: np.ndarray) -> float:
    """Return the enhancement of the lesion above that of the `gland` (bool), in standard deviations of the latter."""
    gained = post - pre
    return float((gained[tumour].mean() - gained[gland].mean()) / gained[gland].std())
