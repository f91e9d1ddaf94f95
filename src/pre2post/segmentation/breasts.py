"""One breast or both: which part of a volume a segmenter sees, and which part of its prediction is scored."""

from typing import TYPE_CHECKING

import numpy as np

from pre2post.cohort.case import Case
from pre2post.image.laterality import half_with_centre
from pre2post.image.volume import Volume
from pre2post.segmentation.prediction import preprocess_array, segment_with_probability
from pre2post.segmentation.volumes import Box, body_box, body_halves

if TYPE_CHECKING:
    from pre2post.segmentation.prediction import nnUNetPredictor

Preprocessed = tuple[np.ndarray, dict, Box]  # an array as the network takes it, nnU-Net's notes to undo that, the body


def preprocess_parts(image: Volume, case: Case, train_crop: str, predictor: "nnUNetPredictor") -> list[Preprocessed]:
    """Preprocess a volume as in the training: complete, or each half of the body alone if trained on one breast.

    nnU-Net scales each volume by its own mean, so a network trained on halves needs halves.
    """
    z, y, x = body_box(case)
    parts = body_halves(case) if train_crop == "breast" else (slice(0, image.array.shape[2]),)
    z_y_x = (image.spacing[2], image.spacing[1], image.spacing[0])
    return [
        (
            *preprocess_array(image.columns(part).array, z_y_x, predictor),
            (z, y, slice(max(x.start - part.start, 0), min(x.stop, part.stop) - part.start)),
        )
        for part in parts
    ]


def segment_parts(predictor: "nnUNetPredictor", parts: list[Preprocessed], threads: int) -> np.ndarray:
    """Return the predicted mask, uint8 (z, y, x), of preprocessed parts, in the volume's own geometry."""
    return segment_parts_with_probability(predictor, parts, threads)[0]


def segment_parts_with_probability(
    predictor: "nnUNetPredictor", parts: list[Preprocessed], threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask as segment_parts() does, and the probability of tumour, float32 (z, y, x), 0 to 1."""
    found = [segment_with_probability(predictor, data, notes, threads, inside=body) for data, notes, body in parts]
    mask, probability = (np.concatenate(pieces, axis=2) for pieces in zip(*found, strict=True))
    return mask, probability


def keep_scored_region(predicted: np.ndarray, true: np.ndarray, case: Case, score_region: str) -> np.ndarray:
    """Return the predicted mask (z, y, x) with the half of the body that is not scored set to 0.

    score_region: both keeps all; predicted_breast keeps the half with more predicted voxels; annotated_breast keeps
    the half with the true mask's centre of mass, as published. The last one leaks the tumour side: false positives in
    the other breast do not count.
    """
    if score_region == "both" or not predicted.any() or not true.any():
        return predicted
    sides = body_halves(case)
    fullest = max(sides, key=lambda side: np.count_nonzero(predicted[..., side]))
    kept = half_with_centre(true, sides) if score_region == "annotated_breast" else fullest
    scored = np.zeros_like(predicted)
    scored[..., kept] = predicted[..., kept]
    return scored
