"""What the classifiers of MAMA-SYNTH 2026 make of a region: its radiomics features, their probabilities, and the AUROC.

The challenge trains one classifier to tell post-contrast tumours from pre-contrast ones, another to tell tumours from
the mirrored region of the other breast. A good synthetic image lets both succeed.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from pre2post.core.errors import InputError
from pre2post.features.radiomics_features import beyond_mask, extract
from pre2post.image.volume import Volume
from pre2post.io.single_slice import double_image

CLASSES = ("firstorder", "glcm", "glrlm", "gldm", "glszm", "ngtdm")
FEATURES = 93  # of these classes
SETTINGS = {
    "binWidth": 25,
    "resampledPixelSpacing": None,
    "interpolator": "sitkBSpline",
    "minimumROIDimensions": 1,
    "minimumROISize": 1,
    "force2D": True,
    "force2Ddimension": 0,
    "additionalInfo": False,
}
FEWEST_CASES = 2  # for an AUROC


def region_features(image, mask) -> np.ndarray:
    """The challenge's 93 radiomics features (93,) float64 of a region of a z-scored image (h, w), sorted by name.

    Every feature that is not finite is 0, as the challenge gives it to its classifiers.
    Raises InputError for a region that has no features, such as one of a single pixel.
    """
    image, mask = beyond_mask(*(Volume(np.asarray(array)) for array in (image, np.asarray(mask) != 0)))
    found = extract(_extractor(), double_image(image.array), double_image(mask.array), case=None)
    values = np.array([float(found[name]) for name in sorted(found)])
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


@lru_cache
def _extractor():
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(**SETTINGS)
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    return extractor


def auroc(classifiers: Mapping, positive, negative) -> float:
    """Area under the ROC curve of the mean probability of classifiers {name: one}, features (n, 93) of both kinds.

    Raises InputError for fewer than two of a kind, or a classifier that cannot be used on such features.
    """
    from sklearn.metrics import roc_auc_score

    counts = len(positive), len(negative)
    if min(counts) < FEWEST_CASES:
        raise InputError("too few cases for an AUROC", found=min(counts), expected=f"at least {FEWEST_CASES}")
    features = np.concatenate([positive, negative])
    probabilities = [_probability(name, one, features) for name, one in classifiers.items()]
    return float(roc_auc_score(np.repeat([1, 0], counts), np.mean(probabilities, axis=0)))


def _probability(name, classifier, features: np.ndarray) -> np.ndarray:
    """Probability (n,) of the second class."""
    try:
        probability = np.asarray(classifier.predict_proba(features), dtype=np.float64)
    except Exception as error:  # estimators of another release raise whatever they stumble over
        raise InputError(
            "this classifier cannot be used",
            file=name,
            found=f"{type(error).__name__}: {error}",
            expected=f"one trained on {features.shape[1]} features with an installed release",
        ) from None
    return probability[:, 1] if probability.ndim == 2 else probability
