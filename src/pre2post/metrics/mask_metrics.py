"""What a predicted mask is worth beside the true one: overlap, surfaces, volume, and lesion by lesion."""

import warnings

import numpy as np

from pre2post.image.masks import bounding_box, lesions, millilitres, window

PERCENTILE = 0.95  # of surface distances: the largest of all hangs on one stray voxel

Spacing = tuple[float, float, float]  # (x, y, z) in mm, as a Volume has it; masks are (z, y, x)


def dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks, anything but 0 being tumour (Dice 1945).

    Two empty masks agree: 1. One empty mask: 0. nnU-Net says NaN for the former and leaves it out of its mean.
    """
    predicted, true = _pair(predicted, true)
    total = int(predicted.sum()) + int(true.sum())
    return 2.0 * int((predicted & true).sum()) / total if total else 1.0


def measure(
    predicted: np.ndarray, true: np.ndarray, spacing: Spacing, overlap: float = 0.1, smallest_ml: float = 0.0
) -> dict[str, float]:
    """Everything about one predicted mask (z, y, x), anything but 0 being tumour; each a finite number.

    dice: 0 to 1. hd95, assd: see surface_distances, in mm. relative_volume_difference: predicted / true volume - 1. lesions:
    connected pieces of the true mask. lesion_sensitivity: share of them of which at least `overlap` (0 to 1) of the voxels are
    predicted. false_positives: connected pieces of the prediction without a true voxel. detected: 1 if the masks share a
    voxel, else 0. predicted_ml, true_ml: volumes. Pieces below `smallest_ml`, of either mask, are not counted as such.

    Nothing predicted: dice, lesion_sensitivity and false_positives 0, relative_volume_difference -1, and distances of the whole volume's
    diagonal, the largest that is possible (a fixed penalty, as in BraTS). Nothing true but something predicted: dice 0,
    the same distances, lesion_sensitivity 1 since nothing was missed, relative_volume_difference 1. Nothing in either: dice and sensitivity
    1, all else 0.
    """
    predicted, true = _pair(predicted, true)
    penalty = _diagonal(true.shape, spacing)
    if predicted.any() or true.any():
        tumour = window(bounding_box(predicted | true))  # what follows depends on nothing outside, and takes its time
        predicted, true = predicted[tumour], true[tumour]
    hd95, assd = surface_distances(predicted, true, spacing) or (penalty, penalty)
    volumes = {"predicted_ml": millilitres(predicted, spacing), "true_ml": millilitres(true, spacing)}
    return {
        "dice": dice(predicted, true),
        "hd95": hd95,
        "assd": assd,
        "relative_volume_difference": _relative_volume_difference(**volumes),
        **_by_lesion(predicted, true, spacing, overlap, smallest_ml),
        "detected": int((predicted & true).any()),
        **volumes,
    }


def surface_distances(predicted: np.ndarray, true: np.ndarray, spacing: Spacing) -> tuple[float, float] | None:
    """Hausdorff distance at its 95th percentile and average symmetric surface distance of two masks (z, y, x), in mm.

    By MONAI, from every surface voxel (one with a face to the outside, or at the volume's edge) of each mask to the
    nearest of the other. hd95: the larger of both directions' percentiles. assd: the mean over both in one pool.
    Two empty masks: 0 and 0; None if only one is empty, which lies nowhere.
    """
    if not predicted.any() or not true.any():
        return None if predicted.any() or true.any() else (0.0, 0.0)
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 passes itself an argument that it has deprecated
        _, distances, _ = get_edge_surface_distance(
            torch.tensor(predicted), torch.tensor(true), symmetric=True, spacing=spacing[::-1]
        )
    hd95 = max(float(torch.quantile(way, PERCENTILE)) for way in distances)
    return hd95, float(torch.cat(distances).mean())


def _by_lesion(predicted: np.ndarray, true: np.ndarray, spacing: Spacing, overlap: float, smallest_ml: float) -> dict:
    labels, count = lesions(true, spacing, smallest_ml)
    sizes, covered = (np.bincount(voxels, minlength=count + 1)[1:] for voxels in (labels.ravel(), labels[predicted]))
    pieces, predicted_count = lesions(predicted, spacing, smallest_ml)
    on_tumour = int(np.count_nonzero(np.unique(pieces[true])))
    return {
        "lesions": count,
        "lesion_sensitivity": float(np.mean(covered / sizes >= overlap)) if count else 1.0,
        "false_positives": predicted_count - on_tumour,
    }


def _relative_volume_difference(predicted_ml: float, true_ml: float) -> float:
    return predicted_ml / true_ml - 1 if true_ml else float(predicted_ml > 0)


def _diagonal(shape: tuple[int, ...], spacing: Spacing) -> float:
    """Distance of opposite corners' voxels in mm."""
    return float(np.linalg.norm((np.array(shape) - 1) * spacing[::-1]))


def _pair(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape:
        raise ValueError(f"masks of shape {predicted.shape} and {true.shape} cannot be compared")
    return predicted, true
