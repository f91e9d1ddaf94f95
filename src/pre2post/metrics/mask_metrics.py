"""Metrics of a predicted mask against the true one: overlap, surface distances, volume and detection per lesion."""

import warnings

import numpy as np

from pre2post.image.masks import bounding_box, millilitres, window
from pre2post.metrics.lesion_match import match_lesions

PERCENTILE = 0.95  # of surface distances: the maximum depends on single stray voxels

Spacing = tuple[float, float, float]  # (x, y, z) in mm, as a Volume has it; masks are (z, y, x)


def dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the Dice coefficient 2 |A and B| / (|A| + |B|) of two masks (Dice 1945); nonzero is tumour.

    Two empty masks: 1. One empty mask: 0. For two empty masks nnU-Net returns NaN and excludes it from its mean.
    """
    predicted, true = _pair(predicted, true)
    total = int(predicted.sum()) + int(true.sum())
    return 2.0 * int((predicted & true).sum()) / total if total else 1.0


def measure(
    predicted: np.ndarray, true: np.ndarray, spacing: Spacing, overlap: float = 0.1, smallest_ml: float = 0.0
) -> dict[str, float]:
    """Compute all metrics of one predicted mask (z, y, x), nonzero being tumour; every value is finite.

    dice: 0 to 1.
    hd95, assd: in mm, see surface_distances.
    relative_volume_difference: predicted / true volume - 1.
    lesions: number of connected components of the true mask.
    lesion_sensitivity: share of the lesions that a component of the prediction finds, with an IoU of at least `overlap`
        (0 to 1); see lesion_match.
    false_positives: number of connected components of the prediction that find no lesion.
    detected: 1 if a lesion is found, else 0.
    predicted_ml, true_ml: volumes.
    Components below `smallest_ml`, of either mask, are not counted.

    Empty prediction: dice, lesion_sensitivity and false_positives are 0, relative_volume_difference is -1. The
    distances are the diagonal of the volume, the largest possible distance (a fixed penalty, as in BraTS).
    Empty true mask, something predicted: dice is 0, the distances are as above, lesion_sensitivity is 1 because nothing
    was missed, relative_volume_difference is 1.
    Both empty: dice and lesion_sensitivity are 1, everything else is 0.
    """
    predicted, true = _pair(predicted, true)
    penalty = _diagonal(true.shape, spacing)
    if predicted.any() or true.any():
        tumour = window(
            bounding_box(predicted | true)
        )  # the metrics do not depend on the outside, and a crop is faster
        predicted, true = predicted[tumour], true[tumour]
    hd95, assd = surface_distances(predicted, true, spacing) or (penalty, penalty)
    volumes = {"predicted_ml": millilitres(predicted, spacing), "true_ml": millilitres(true, spacing)}
    return {
        "dice": dice(predicted, true),
        "hd95": hd95,
        "assd": assd,
        "relative_volume_difference": _relative_volume_difference(**volumes),
        **_by_lesion(predicted, true, spacing, overlap, smallest_ml),
        **volumes,
    }


def surface_distances(predicted: np.ndarray, true: np.ndarray, spacing: Spacing) -> tuple[float, float] | None:
    """Return the 95th percentile Hausdorff distance and the average symmetric surface distance, in mm.

    Masks are (z, y, x). MONAI computes the distance from every surface voxel of one mask to the nearest of the other. A
    surface voxel has a face to the outside or is at the volume's edge. hd95 is the larger percentile of the two
    directions, assd the mean over the pooled distances. Two empty masks: (0, 0). One empty mask: None.
    """
    if not predicted.any() or not true.any():
        return None if predicted.any() or true.any() else (0.0, 0.0)
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 uses an argument that it has deprecated
        _, distances, _ = get_edge_surface_distance(
            torch.tensor(predicted), torch.tensor(true), symmetric=True, spacing=spacing[::-1]
        )
    hd95 = max(float(torch.quantile(way, PERCENTILE)) for way in distances)
    return hd95, float(torch.cat(distances).mean())


def _by_lesion(
    predicted: np.ndarray, true: np.ndarray, spacing: Spacing, overlap: float, smallest_ml: float
) -> dict[str, float]:
    match = match_lesions(predicted, true, spacing, smallest_ml)
    found, count = match.found(overlap), match.iou.shape[1]
    hits = len(set(found[found > 0].tolist()))
    return {
        "lesions": count,
        "lesion_sensitivity": hits / count if count else 1.0,
        "false_positives": int(np.count_nonzero(found == 0)),
        "detected": int(hits > 0),
    }


def _relative_volume_difference(predicted_ml: float, true_ml: float) -> float:
    return predicted_ml / true_ml - 1 if true_ml else float(predicted_ml > 0)


def _diagonal(shape: tuple[int, ...], spacing: Spacing) -> float:
    """Return the distance in mm between the centres of opposite corner voxels."""
    return float(np.linalg.norm((np.array(shape) - 1) * spacing[::-1]))


def _pair(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape:
        raise ValueError(f"masks of shape {predicted.shape} and {true.shape} cannot be compared")
    return predicted, true
