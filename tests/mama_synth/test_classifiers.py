"""Compare the features for the challenge's classifiers with pyradiomics, and the AUROC with scikit-learn."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from pre2post.mama_synth.classifiers import FEATURES, auroc, region_features

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # pyradiomics's import


@pytest.fixture
def image() -> np.ndarray:
    return 40 * gaussian_filter(np.random.default_rng(0).normal(size=(40, 36)), 2)


def pyradiomics(image, mask, width=25):
    """Return all features of one plane except shape, by a new extractor, in the order of their names."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(
        binWidth=width, minimumROIDimensions=1, minimumROISize=1, force2D=True, force2Ddimension=0
    )
    extractor.enableAllFeatures()
    found = extractor.execute(sitk.GetImageFromArray(image[None]), sitk.GetImageFromArray(mask[None].astype(np.uint8)))
    names = sorted(name for name in found if not name.startswith("diagnostics") and "_shape" not in name)
    return np.array([float(found[name]) for name in names])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
def test_features_equal_pyradiomics(image, kind):
    mask = np.zeros(image.shape, bool)
    mask[5:25, 6:30] = True
    image = (10 * image).astype(kind)
    found = region_features(image, mask)
    assert found.shape == (FEATURES,)
    np.testing.assert_allclose(found, pyradiomics(image.astype(np.float64), mask), rtol=1e-9)


def test_a_region_can_fill_the_image(image):
    """pyradiomics 3.0 refuses it, but not with a margin around the region, which does not change the features."""
    padded, mask = np.pad(image, 2), np.pad(np.ones(image.shape), 2)
    np.testing.assert_allclose(region_features(image, np.ones(image.shape)), pyradiomics(padded, mask), rtol=1e-9)


def test_missing_features_are_0_and_a_region_without_features_is_refused(image, refused):
    corners = np.zeros(image.shape)
    corners[0, 0] = corners[-1, -1] = 1
    assert np.isfinite(region_features(image, corners)).all() and (region_features(image, corners) == 0).sum() > 20
    single = np.zeros(image.shape)
    single[4, 4] = 1
    refused(lambda: region_features(image, single), "no radiomics features", "1 segmented voxel")


class Fixed:
    """A classifier whose probability is the value of one feature."""

    def __init__(self, column):
        self.column = column

    def predict_proba(self, features):
        return np.stack([1 - features[:, self.column], features[:, self.column]], axis=1)


def test_auroc_is_that_of_the_mean_probability():
    from sklearn.metrics import roc_auc_score

    positive, negative = np.random.default_rng(1).random((2, 12, FEATURES))
    positive[:, :2] += 0.2
    for columns in ([0], [0, 1]):
        scores = np.concatenate([positive, negative])[:, columns].mean(axis=1)
        found = auroc({column: Fixed(column) for column in columns}, positive, negative)
        assert found == pytest.approx(roc_auc_score([1] * 12 + [0] * 12, scores), abs=1e-12)
    assert auroc({0: Fixed(0)}, negative, negative) == pytest.approx(0.5)


def test_too_few_cases_and_unusable_classifiers_are_refused(refused):
    features = np.zeros((3, FEATURES))
    refused(lambda: auroc({"a": Fixed(0)}, features[:1], features), "too few cases", "found: 1")
    refused(lambda: auroc({"a.pkl": Fixed(FEATURES)}, features, features), "a.pkl", "cannot be used", "IndexError")
