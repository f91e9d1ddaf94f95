"""Which predicted pieces find which lesions, and how often a piece of that form would by chance.

A piece is a connected component of a predicted mask. It finds the lesion with which it overlaps most, if their
intersection over union (IoU) reaches a limit. An IoU of 0.1 is the rule of nnDetection (Baumgartner et al. 2021) and of
PI-CAI (Saha et al. 2024) for small lesions in 3D: stricter than a shared voxel, and without asking for a good outline.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pre2post.image.masks import bounding_box, lesions, window

Spacing = tuple[float, float, float]  # (x, y, z) in mm; masks are (z, y, x)


@dataclass(frozen=True)
class Match:
    """pieces, lesions: labels (z, y, x) of both masks, 1 being the largest component. iou: (pieces, lesions)."""

    pieces: np.ndarray
    lesions: np.ndarray
    iou: np.ndarray

    def found(self, limit: float) -> np.ndarray:
        """Return the lesion that each piece finds, counted from 1; 0 for a false positive."""
        if not self.iou.size:
            return np.zeros(len(self.iou), int)
        return np.where(self.iou.max(axis=1) >= limit, self.iou.argmax(axis=1) + 1, 0)


def match_lesions(predicted: np.ndarray, true: np.ndarray, spacing: Spacing, smallest_ml: float = 0.0) -> Match:
    """Label both masks, without components below `smallest_ml`, and compute every IoU."""
    pieces, n_pieces = lesions(predicted, spacing, smallest_ml)
    found, n_lesions = lesions(true, spacing, smallest_ml)
    shared = np.zeros((n_pieces + 1, n_lesions + 1))
    both = (pieces > 0) & (found > 0)
    np.add.at(shared, (pieces[both], found[both]), 1)
    size_of_pieces, size_of_lesions = (
        np.bincount(labels.ravel(), minlength=count + 1) for labels, count in ((pieces, n_pieces), (found, n_lesions))
    )
    union = size_of_pieces[1:, None] + size_of_lesions[None, 1:] - shared[1:, 1:]
    return Match(pieces, found, shared[1:, 1:] / union)


def chance_of_finding(match: Match, region: np.ndarray, limit: float) -> np.ndarray:
    """Return for each piece the probability (0 to 1) that it finds a lesion when it is moved to a random place.

    The piece keeps its form, and its centre is equally likely in every voxel of `region` (z, y, x), bool, such as the
    breasts. Every place is counted, so nothing is random here. With several lesions, the mean over them.
    """
    places = int(np.count_nonzero(region))
    n_pieces, n_lesions = match.iou.shape
    if not (places and n_lesions):
        return np.zeros(n_pieces)
    return np.array(
        [
            sum(_hits(match.pieces == piece, match.lesions == lesion, region, limit) for lesion in _labels(n_lesions))
            / (places * n_lesions)
            for piece in _labels(n_pieces)
        ]
    )


def any_by_chance(chances: Iterable[float]) -> float:
    """Return the probability that at least one of several pieces finds a lesion by chance."""
    return 1 - float(np.prod([1 - chance for chance in chances]))


def _hits(piece: np.ndarray, lesion: np.ndarray, region: np.ndarray, limit: float) -> int:
    """Return the number of voxels of the region at which the centre of the piece lets it find the lesion."""
    from scipy.signal import correlate

    form, target = (mask[window(bounding_box(mask))].astype(np.float64) for mask in (piece, lesion))
    centre = np.round(np.argwhere(form).mean(axis=0)).astype(int)
    shared = np.round(correlate(target, form, mode="full"))  # of every shift at which their boxes touch
    iou = shared / (form.sum() + target.sum() - shared)
    start = np.array(bounding_box(lesion)[::2]) - np.array(form.shape) + 1 + centre  # place of the first shift
    places = np.argwhere(iou >= limit) + start
    inside = ((places >= 0) & (places < region.shape)).all(axis=1)
    return int(np.count_nonzero(region[tuple(places[inside].T)]))


def _labels(count: int) -> range:
    return range(1, count + 1)
