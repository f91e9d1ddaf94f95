"""The region opposite a tumour: its mask mirrored at the midline between the breasts, as in MAMA-SYNTH 2026.

The midline is the valley between two peaks of the mean tissue intensity, one in each half of the image. Left and right
are tried first, then top and bottom, for rotated images. All thresholds are those of the challenge's evaluator.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

AIR = -1.5  # largest z-score of air
SMOOTHING = 20  # the profile is smoothed over a twentieth of its length
PEAK_HEIGHT = 0.1  # smallest height of a peak, as a fraction of the profile's mean
PEAK_DISTANCE = (
    0.1  # smallest distance of peaks, as a fraction of the profile's length; of closer ones the higher counts
)
OUTER = 4  # peaks are searched first in the outer quarter of each side, since the heart is in the middle
VALLEY_DEPTH = 0.05  # smallest depth of the valley below the profile's mean, as a fraction of it
CENTRAL = (0.3, 0.7)  # of the distance from peak to peak; a valley outside is within a breast
TISSUE_PERCENTILE = 10  # of the tissue's intensities; the mirrored region counts as tissue above it
TISSUE_FRACTION = 0.3  # smallest fraction of tissue in the mirrored region
AXES = ((1, "left and right"), (0, "top and bottom"))


@dataclass(frozen=True)
class Mirror:
    """The mirrored mask (h, w), or None and the reason."""

    mask: np.ndarray | None
    reason: str = ""


def mirrored_region(image: ArrayLike, mask: ArrayLike) -> Mirror:
    """Mirror a mask (h, w), with values other than 0 inside, to the other breast of a z-scored image (h, w)."""
    pixels, inside = np.asarray(image, dtype=np.float64), np.asarray(mask) != 0
    if not inside.any():
        return Mirror(None, "the mask is empty")
    tissue, reasons = _tissue_threshold(pixels), []
    for axis, sides in AXES:
        midline = find_midline(pixels if axis == 1 else pixels.T)
        if midline is None:
            reasons.append(f"no two breasts {sides}")
            continue
        mirrored = mirror(inside, midline, axis)
        if not mirrored.any():
            reasons.append(f"mirrored {sides} it is outside the image")
        elif np.count_nonzero(pixels[mirrored] >= tissue) / np.count_nonzero(mirrored) < TISSUE_FRACTION:
            reasons.append(f"mirrored {sides} it is outside the body")
        else:
            return Mirror(mirrored)
    return Mirror(None, "; ".join(reasons))


def mirror(mask: np.ndarray, midline: int, axis: int) -> np.ndarray:
    """Move every index p of the axis to 2 midline - p; pixels that leave the image are lost."""
    index = 2 * midline - np.arange(mask.shape[axis])
    inside = (index >= 0) & (index < len(index))
    mirrored = np.zeros_like(mask)
    source, target = (np.moveaxis(array, axis, 0) for array in (mask, mirrored))
    target[index[inside]] = source[inside]
    return mirrored


def find_midline(image: np.ndarray) -> int | None:
    """Return the column between the breasts of an image (h, w); None if it does not show two, side by side."""
    profile = tissue_profile(image)
    peaks = _breast_peaks(profile)
    if peaks is None:
        return None
    first, last = min(peaks), max(peaks)
    between = profile[first : last + 1]
    lowest, mean = np.nanmin(between), np.nanmean(between)
    if lowest >= np.nanmean(profile) * (1 - VALLEY_DEPTH):
        return None
    # The middle of the valley, which includes columns of air: the lowest column of a flat valley is at one of its ends.
    valley = np.flatnonzero(np.where(np.isnan(between), lowest, between) <= lowest + 0.5 * (mean - lowest))
    midline = first + int(np.median(valley))
    earliest, latest = (first + int(fraction * (last - first)) for fraction in CENTRAL)
    return midline if earliest <= midline <= latest else (first + last) // 2


def tissue_profile(image: np.ndarray) -> np.ndarray:
    """Return the mean tissue intensity of every column (w,), smoothed by a running mean; NaN for columns of air."""
    tissue = image > AIR
    counts = np.count_nonzero(tissue, axis=0)
    means = np.where(tissue, image, 0.0).sum(axis=0) / np.maximum(counts, 1)
    width = max(3, len(means) // SMOOTHING)
    window = np.ones(width) / width
    weights = np.convolve((counts > 0).astype(float), window, mode="same")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights > 0, np.convolve(means, window, mode="same") / weights, np.nan)


def _breast_peaks(profile: np.ndarray) -> tuple[int, int] | None:
    """Return the highest peak of each side: in its outer quarter, else its half, else the quarter's highest column."""
    if np.isnan(profile).all():
        return None
    peaks, n = _peaks(profile), len(profile)
    quarter = max(1, n // OUTER)
    found: list[int] = []
    for outer, half in ((range(quarter), range(n // 2)), (range(n - quarter, n), range(n // 2, n))):
        chosen = [p for p in peaks if p in outer] or [p for p in peaks if p in half]
        if not chosen and not np.isnan(profile[outer.start : outer.stop]).all():
            chosen = [outer.start + int(np.nanargmax(profile[outer.start : outer.stop]))]
        if not chosen:
            return None
        found.append(max(chosen, key=lambda p: profile[p]))
    return found[0], found[1]


def _peaks(profile: np.ndarray) -> list[int]:
    """Return columns not lower than both neighbours, high enough and far enough apart, without the two ends."""
    highest = np.nanmean(profile) * PEAK_HEIGHT
    filled = np.where(np.isnan(profile), -np.inf, profile)
    middle = filled[1:-1]
    candidates = np.flatnonzero((middle >= highest) & (middle >= filled[:-2]) & (middle >= filled[2:])) + 1
    distance = max(3, int(len(profile) * PEAK_DISTANCE))
    kept: list[int] = []
    for p in candidates.tolist():
        if not kept or p - kept[-1] >= distance:
            kept.append(p)
        elif profile[p] > profile[kept[-1]]:
            kept[-1] = p
    return kept


def _tissue_threshold(image: np.ndarray) -> float:
    tissue = image[image > AIR]
    return float(np.percentile(tissue, TISSUE_PERCENTILE)) if tissue.size else AIR
