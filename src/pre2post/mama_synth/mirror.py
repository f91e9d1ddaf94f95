"""The region opposite a tumour: its mask mirrored at the midline between the breasts, as MAMA-SYNTH 2026 finds it.

The midline is the valley between two peaks of the mean tissue intensity, one in each half of the image. Left and right
are tried first, then top and bottom, for images that were turned. Every threshold is that of the challenge's evaluator.
"""

from dataclasses import dataclass

import numpy as np

AIR = -1.5  # z-score up to which a pixel counts as air: tissue starts about there
SMOOTHING = 20  # the profile is smoothed over a twentieth of its length
PEAK_HEIGHT = 0.1  # of the profile's mean: lower peaks are none
PEAK_DISTANCE = 0.1  # of the profile's length: of two peaks nearer than that the higher one counts
OUTER = 4  # peaks are looked for in the outer quarter of each side first: the heart lies in the middle
VALLEY_DEPTH = 0.05  # of the profile's mean: how far below it the valley must reach
CENTRAL = (0.3, 0.7)  # of the way from peak to peak: a valley outside that lies within a breast
TISSUE_PERCENTILE = 10  # of the tissue's intensities: what counts as tissue in the mirrored region
TISSUE_SHARE = 0.3  # of the mirrored region that must be tissue
AXES = ((1, "left and right"), (0, "top and bottom"))


@dataclass(frozen=True)
class Mirror:
    """The mirrored mask (h, w), or None and the reason why there is none."""

    mask: np.ndarray | None
    reason: str = ""


def mirrored_region(image, mask) -> Mirror:
    """The mask (h, w), anything but 0 being inside, mirrored to the other breast of a z-scored image (h, w)."""
    image, mask = np.asarray(image, dtype=np.float64), np.asarray(mask) != 0
    if not mask.any():
        return Mirror(None, "the mask is empty")
    tissue, reasons = _tissue_threshold(image), []
    for axis, sides in AXES:
        midline = find_midline(image if axis == 1 else image.T)
        if midline is None:
            reasons.append(f"no two breasts {sides}")
            continue
        mirrored = mirror(mask, midline, axis)
        if not mirrored.any():
            reasons.append(f"mirrored {sides} it lies outside the image")
        elif np.count_nonzero(image[mirrored] >= tissue) / np.count_nonzero(mirrored) < TISSUE_SHARE:
            reasons.append(f"mirrored {sides} it lies outside the body")
        else:
            return Mirror(mirrored)
    return Mirror(None, "; ".join(reasons))


def mirror(mask: np.ndarray, midline: int, axis: int) -> np.ndarray:
    """The mask with every index p of the axis moved to 2 midline - p; what falls outside is lost."""
    index = 2 * midline - np.arange(mask.shape[axis])
    inside = (index >= 0) & (index < len(index))
    mirrored = np.zeros_like(mask)
    source, target = (np.moveaxis(array, axis, 0) for array in (mask, mirrored))
    target[index[inside]] = source[inside]
    return mirrored


def find_midline(image: np.ndarray) -> int | None:
    """The column between the breasts of an image (h, w); None where it does not show two of them side by side."""
    profile = tissue_profile(image)
    peaks = _breast_peaks(profile)
    if peaks is None:
        return None
    first, last = min(peaks), max(peaks)
    between = profile[first : last + 1]
    lowest, mean = np.nanmin(between), np.nanmean(between)
    if lowest >= np.nanmean(profile) * (1 - VALLEY_DEPTH):
        return None
    # The middle of the valley, of which columns of air are part: its lowest column would lie at one end of a flat one.
    valley = np.flatnonzero(np.where(np.isnan(between), lowest, between) <= lowest + 0.5 * (mean - lowest))
    midline = first + int(np.median(valley))
    earliest, latest = (first + int(share * (last - first)) for share in CENTRAL)
    return midline if earliest <= midline <= latest else (first + last) // 2


def tissue_profile(image: np.ndarray) -> np.ndarray:
    """Mean tissue intensity of every column (w,), smoothed by a running mean; NaN where there is only air."""
    tissue = image > AIR
    counts = np.count_nonzero(tissue, axis=0)
    means = np.where(tissue, image, 0.0).sum(axis=0) / np.maximum(counts, 1)
    width = max(3, len(means) // SMOOTHING)
    window = np.ones(width) / width
    weights = np.convolve((counts > 0).astype(float), window, mode="same")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights > 0, np.convolve(means, window, mode="same") / weights, np.nan)


def _breast_peaks(profile: np.ndarray) -> tuple[int, int] | None:
    """The highest peak of each side: in its outer quarter, else its half, else the highest column of the quarter."""
    if np.isnan(profile).all():
        return None
    peaks, n = _peaks(profile), len(profile)
    quarter, found = max(1, n // OUTER), []
    for outer, half in ((range(quarter), range(n // 2)), (range(n - quarter, n), range(n // 2, n))):
        chosen = [p for p in peaks if p in outer] or [p for p in peaks if p in half]
        if not chosen and not np.isnan(profile[outer.start : outer.stop]).all():
            chosen = [outer.start + int(np.nanargmax(profile[outer.start : outer.stop]))]
        if not chosen:
            return None
        found.append(max(chosen, key=lambda p: profile[p]))
    return tuple(found)


def _peaks(profile: np.ndarray) -> list[int]:
    """Columns not lower than both neighbours, high enough and far enough from each other; neither end is one."""
    highest = np.nanmean(profile) * PEAK_HEIGHT
    filled = np.where(np.isnan(profile), -np.inf, profile)
    middle = filled[1:-1]
    candidates = np.flatnonzero((middle >= highest) & (middle >= filled[:-2]) & (middle >= filled[2:])) + 1
    distance, kept = max(3, int(len(profile) * PEAK_DISTANCE)), []
    for p in candidates.tolist():
        if not kept or p - kept[-1] >= distance:
            kept.append(p)
        elif profile[p] > profile[kept[-1]]:
            kept[-1] = p
    return kept


def _tissue_threshold(image: np.ndarray) -> float:
    tissue = image[image > AIR]
    return float(np.percentile(tissue, TISSUE_PERCENTILE)) if tissue.size else AIR
