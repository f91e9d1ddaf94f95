import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import correlate, gaussian_filter
from skimage.feature import graycomatrix, graycoprops

from pre2post.core.errors import InputError
from pre2post.features.random_features import random_features
from pre2post.features.texture_features import BINS, NAMES, co_occurrence, texture_features
from pre2post.metrics.feature_sets import standard_of
from pre2post.metrics.frechet import frechet_distance, moments

EXTRACTORS = {"fd_random": lambda slices: random_features(slices, 1), "fd_texture": texture_features}


def distances(extract, real, degraded):
    """Return the distance of each degraded set to the real one, with features standardised by the real one."""
    features = extract(real)
    standard = standard_of(moments(features))
    return [frechet_distance(standard(features), standard(extract(images))) for images in degraded]


@pytest.mark.parametrize("name", EXTRACTORS)
def test_grows_with_noise(name, tumour_slices):
    real, noise = tumour_slices(100, 1, 0), np.random.default_rng(1).normal(size=(100, 64, 64))
    found = distances(EXTRACTORS[name], real, [real + sd * noise for sd in (0, 0.01, 0.02, 0.04, 0.08)])
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert np.all(np.diff(found) > 0), found


@pytest.mark.parametrize("name", EXTRACTORS)
def test_grows_with_blur(name, tumour_slices):
    real = tumour_slices(100, 1, 0)
    found = distances(EXTRACTORS[name], real, [gaussian_filter(real, (0, s, s)) for s in (0, 0.5, 1, 2, 4)])
    assert np.all(np.diff(found) > 0), found


@pytest.mark.parametrize("name", EXTRACTORS)
def test_grows_with_lost_tumours(name, tumour_slices):
    """Also against other patients, for which the distance without degradation is above 0."""
    degraded = [tumour_slices(100, share, 0) for share in (1, 0.75, 0.5, 0.25, 0)]
    for real in (degraded[0], tumour_slices(100, 1, 7)):
        found = distances(EXTRACTORS[name], real, degraded)
        assert np.all(np.diff(found) > 0), found


@pytest.mark.parametrize("name", EXTRACTORS)
def test_slices_do_not_depend_on_each_other(name, tumour_slices):
    slices = tumour_slices(40, 1, 0)
    together, again = EXTRACTORS[name](slices), EXTRACTORS[name](slices.copy())
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, again)
    apart = np.concatenate([EXTRACTORS[name](slices[:7]), EXTRACTORS[name](slices[7:])])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_constant_slices_give_equal_finite_features(name):
    found = EXTRACTORS[name](np.full((2, 64, 64), 0.25, np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    if name == "fd_texture":
        values = dict(zip(NAMES, found[0], strict=True))
        assert (values["mean"], values["percentile_50"], values["uniformity"]) == (0.25, 0.25, 1)
        assert {values[key] for key in ("sd", "skewness", "kurtosis", "entropy", "gradient_mean")} == {0}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_refuses_bad_slices(name):
    with pytest.raises(InputError, match="not finite"):
        EXTRACTORS[name](np.full((2, 64, 64), np.nan))
    with pytest.raises(InputError, match="at least"):
        EXTRACTORS[name](np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"slices \(n, h, w\)"):
        EXTRACTORS[name](np.zeros((64, 64)))


def test_the_random_network_depends_on_its_seed(tumour_slices):
    slices = tumour_slices(4, 1, 0)
    assert random_features(slices, 1).shape == (4, 104)
    assert not np.allclose(random_features(slices, 1), random_features(slices, 2))


def test_the_first_layer_equals_scipys_convolution(tumour_slices):
    """Channel 0 at full resolution, computed by scipy from the same random numbers."""
    image = tumour_slices(1, 1, 0)[0].astype(float)
    rng = np.random.default_rng([3, 0])
    kernels, biases = rng.normal(0, np.sqrt(2 / 1.04 / 9), (8, 1, 3, 3)), rng.normal(0, 0.1, 8)
    channel = correlate(image, kernels[0, 0], mode="mirror") + biases[0]
    channel = np.where(channel > 0, channel, 0.2 * channel)
    found = random_features(image[None], 3)[0]
    assert found[0] == pytest.approx(channel.mean(), rel=1e-4)
    assert found[8] == pytest.approx(channel.std(), rel=1e-4)


@pytest.mark.parametrize("offset", [1, 4])
def test_co_occurrence_equals_scikit_image(offset):
    levels = np.random.default_rng(0).integers(0, BINS, (2, 40, 36)).astype(np.int16)
    levels[1] = np.sort(levels[1], axis=1)
    found = np.stack(co_occurrence(levels, offset), axis=1)
    for image, values in zip(levels, found, strict=True):
        # scikit-image measures distances in pixels: the diagonal of `offset` rows and columns is longer by sqrt(2).
        straight = graycomatrix(image.astype(np.uint8), [offset], [0, np.pi / 2], BINS, symmetric=True, normed=True)
        diagonal = graycomatrix(
            image.astype(np.uint8), [offset * np.sqrt(2)], [np.pi / 4, 3 * np.pi / 4], BINS, symmetric=True, normed=True
        )
        wanted = [
            np.concatenate([graycoprops(m, kind).ravel() for m in (straight, diagonal)]).mean()
            for kind in ("contrast", "homogeneity", "correlation")
        ]
        np.testing.assert_allclose(values, wanted, rtol=1e-6)


def test_first_order_features_equal_scipy():
    image = np.random.default_rng(1).gamma(2, 0.1, (64, 64)).astype(np.float32)
    found = dict(zip(NAMES, texture_features(image[None])[0], strict=True))
    pixels = image.ravel().astype(float)
    assert found["mean"] == pytest.approx(pixels.mean())
    assert found["sd"] == pytest.approx(pixels.std())
    assert found["skewness"] == pytest.approx(stats.skew(pixels))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(pixels))
    assert found["percentile_90"] == pytest.approx(np.percentile(pixels, 90), rel=1e-2)
    shares = np.histogram(np.clip(pixels, 0, 1), BINS, (0, 1))[0] / pixels.size
    assert found["entropy"] == pytest.approx(stats.entropy(shares, base=2))
    assert found["uniformity"] == pytest.approx(np.square(shares).sum())
