"""One breast or both: what a segmenter is given to learn from and to segment, and where its prediction counts."""

from functools import cache

import numpy as np

from pre2post.cohort.case import Case
from pre2post.image.body_mask import body_mask
from pre2post.image.laterality import half_with_centre, halves
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume
from pre2post.segmentation.prediction import preprocess_array, segment


@cache  # every mix and phase of a case needs them, and finding a body takes its time
def body_halves(case: Case) -> tuple[slice, slice]:
    """Columns of the right and left half of a case, found in its pre-contrast volume without a look at the mask."""
    pre = read_volume(case.path("pre"))
    return halves(body_mask(pre.array, pre.spacing))


def prepare(image: Volume, case: Case, train_crop: str, predictor) -> list[tuple[np.ndarray, dict]]:
    """A volume preprocessed as the segmenter saw its like: whole, or each half alone if trained on one breast.

    nnU-Net scales each volume by its own mean, so a whole one would look different to a network that knows halves.
    """
    parts = body_halves(case) if train_crop == "breast" else (slice(None),)
    return [preprocess_array(image.columns(part).array, image.spacing[::-1], predictor) for part in parts]


def segment_prepared(predictor, prepared: list[tuple[np.ndarray, dict]], threads: int) -> np.ndarray:
    """The predicted mask, uint8 (z, y, x), of what prepare() gave, in the volume's own geometry."""
    return np.concatenate([segment(predictor, *part, threads) for part in prepared], axis=2)


def counted(predicted: np.ndarray, true: np.ndarray, case: Case, score_region: str) -> np.ndarray:
    """The predicted mask (z, y, x) with the half of the body left out that does not count.

    score_region: both leaves it as it is; predicted_breast keeps the half with more predicted voxels; annotated_breast that
    with the true mask's centre of mass, as in the published study, which spares the segmenter false positives in the
    other breast by telling it the answer.
    """
    if score_region == "both" or not predicted.any() or not true.any():
        return predicted
    sides = body_halves(case)
    fullest = max(sides, key=lambda side: np.count_nonzero(predicted[..., side]))
    kept = half_with_centre(true, sides) if score_region == "annotated_breast" else fullest
    found = np.zeros_like(predicted)
    found[..., kept] = predicted[..., kept]
    return found
