"""Radiomics features of a region for the classifiers of MAMA-SYNTH 2026, and the AUROC of their probabilities.

One classifier of the challenge separates post-contrast from pre-contrast tumours, the other separates tumours from the
mirrored region of the other breast. On a good synthetic image both succeed.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.features.radiomics_features import extract, pad_full_mask
from pre2post.image.volume import Volume
from pre2post.io.single_slice import double_image

if TYPE_CHECKING:
    from radiomics.featureextractor import RadiomicsFeatureExtractor

CLASSES = ("firstorder", "glcm", "glrlm", "gldm", "glszm", "ngtdm")
FEATURES = 93  # number of features in these classes
SETTINGS: dict[str, Any] = {
    "binWidth": 25,
    "resampledPixelSpacing": None,
    "interpolator": "sitkBSpline",
    "minimumROIDimensions": 1,
    "minimumROISize": 1,
    "force2D": True,
    "force2Ddimension": 0,
    "additionalInfo": False,
}
MIN_CASES = 2  # for an AUROC


class Classifier(Protocol):
    """A trained classifier of scikit-learn or xgboost."""

    def predict_proba(self, features: np.ndarray, /) -> np.ndarray: ...


def region_features(image: ArrayLike, mask: ArrayLike) -> np.ndarray:
    """Return the challenge's radiomics features (93,) float64 of a region of a z-scored image (h, w), sorted by name.

    Features that are not finite are 0, as in the challenge.

    Raises InputError for a region without features, such as a single pixel.
    """
    padded, region = pad_full_mask(Volume(np.asarray(image)), Volume(np.asarray(mask) != 0))
    found = extract(_extractor(), double_image(padded.array), double_image(region.array), case=None)
    values = np.array([found[name] for name in sorted(found)], dtype=np.float64)
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


@lru_cache
def _extractor() -> "RadiomicsFeatureExtractor":
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(**SETTINGS)
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    return extractor


def auroc(
    classifiers: Mapping[Any, Classifier], positive: Sequence[np.ndarray], negative: Sequence[np.ndarray]
) -> float:
    """Return the area under the ROC curve of the mean probability of the classifiers.

    classifiers: by the file to name in messages. positive, negative: features (n, 93) of both classes.

    Raises InputError for fewer than two cases of a class, or a classifier that cannot be used with these features.
    """
    from sklearn.metrics import roc_auc_score

    counts = len(positive), len(negative)
    if min(counts) < MIN_CASES:
        raise InputError("too few cases for an AUROC", found=min(counts), expected=f"at least {MIN_CASES}")
    features = np.concatenate([positive, negative])
    probabilities = [_probability(name, classifier, features) for name, classifier in classifiers.items()]
    return float(roc_auc_score(np.repeat([1, 0], counts), np.mean(probabilities, axis=0)))


def _probability(name: Any, classifier: Classifier, features: np.ndarray) -> np.ndarray:
    """Return the probability (n,) of the positive class."""
    try:
        probability = np.asarray(classifier.predict_proba(features), dtype=np.float64)
    except Exception as error:  # estimators of another release can raise any error
        raise InputError(
            "this classifier cannot be used",
            file=name,
            found=f"{type(error).__name__}: {error}",
            expected=f"a classifier trained on {features.shape[1]} features, of an installed release",
        ) from None
    return probability[:, 1] if probability.ndim == 2 else probability
