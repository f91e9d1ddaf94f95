"""FRD equals the package frd-score except for its numerical error, which is compared with exact arithmetic."""

import mpmath
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from pre2post.features.radiomics_features import radiomics_features
from pre2post.metrics.frd import frd, normalised

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # pyradiomics's import

SETTINGS = {"v0": ("minmax", [0.0, 7.45670747756958], "joint"), "v1": ("zscore", [0.0, 1.0], "d1")}  # of compute_frd


@pytest.fixture(autouse=True)
def one_thread():
    """These matrices are too small for several threads."""
    with threadpool_limits(1):
        yield


def feature_sets(n, m, d, awkward=False, seed=0):
    """Return two sets of features of very different sizes; awkward ones are constant, missing, or huge."""
    rng = np.random.default_rng(seed)
    size, mixing = 10.0 ** rng.integers(-3, 6, d), rng.normal(size=(min(d, 6), d))
    real, synthetic = (
        (rng.normal(shift, 1, (k, len(mixing))) @ mixing + 0.1 * rng.normal(size=(k, d))) * size
        for k, shift in ((n, 0), (m, 0.4))
    )
    if awkward:
        real[:, 1], real[:, 2], synthetic[:, 2], synthetic[:, 3], real[2, 4] = 3.0, 5.0, 5.0, 1e39, np.nan
    return real, synthetic


def package_result(real, synthetic, version, monkeypatch):
    """Return frd-score's normalised features and distance, with given features instead of images."""
    from frd_score import frd as package

    names = [str(index) for index in range(real.shape[1])]
    monkeypatch.setattr(package, "compute_features", lambda files, **_: (files, [dict.fromkeys(names)], None))
    kind, limits, reference = SETTINGS[version]
    means, covariances, sets, _ = package.calculate_feature_statistics(
        [real, synthetic], kind, limits, None, norm_ref=reference, frd_version=version
    )
    squared = package.calculate_frechet_distance(means[0], covariances[0], means[1], covariances[1])
    return sets, float(np.log(squared)) if version == "v1" else float(squared)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("awkward", [False, True])
@pytest.mark.parametrize("n, m, d", [(12, 9, 40), (60, 70, 20)])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_equals_the_package(version, n, m, d, awkward, monkeypatch):
    real, synthetic = feature_sets(n, m, d, awkward)
    wanted_sets, wanted = package_result(real.copy(), synthetic.copy(), version, monkeypatch)
    for found, expected in zip(normalised(real, synthetic, version), wanted_sets, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        assert found.dtype == expected.dtype
    own = frd(real, synthetic, version, package=True)
    exact = frd(real, synthetic, version)
    assert own.value == pytest.approx(wanted, rel=1e-7)  # its last digits change with memory layout and threads
    assert exact.value == pytest.approx(wanted, rel=1e-4 if min(n, m) <= d else 1e-6)
    assert (exact.version, exact.n_synthetic, exact.features) == (version, m, wanted_sets[0].shape[1])
    assert exact.n_real == n - (awkward and version == "v1")


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_is_exact_where_covariances_are_singular(version):
    """Against 50 digits: the nonzero eigenvalues of C1 C2 are those of the small matrix M M^T."""
    real, synthetic = feature_sets(5, 6, 30, seed=3)
    with mpmath.workdps(50):
        squared = exact_distance(*normalised(real, synthetic, version))
        wanted = float(mpmath.log(squared) if version == "v1" else squared)
    assert frd(real, synthetic, version).value == pytest.approx(wanted, rel=1e-13)


def exact_distance(real, synthetic):
    means, factors, spread = [], [], 0
    for features in (real, synthetic):
        rows = [[mpmath.mpf(float(value)) for value in row] for row in features]
        mean = [mpmath.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        factor = [
            [(value - m) / mpmath.sqrt(len(rows) - 1) for value, m in zip(row, mean, strict=True)] for row in rows
        ]
        spread += mpmath.fsum(value**2 for row in factor for value in row)
        means.append(mean)
        factors.append(factor)
    product = mpmath.matrix([[mpmath.fdot(a, b) for b in factors[1]] for a in factors[0]])
    overlap = mpmath.fsum(mpmath.sqrt(abs(value)) for value in mpmath.eigsy(product * product.T, eigvals_only=True))
    return mpmath.fsum((a - b) ** 2 for a, b in zip(*means, strict=True)) + spread - 2 * overlap


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_equals_the_package_from_images_in_files(tmp_path, version, monkeypatch):
    from frd_score import frd as package

    rng = np.random.default_rng(4)
    mask = np.zeros((24, 26), np.uint8)
    mask[3:20, 4:21] = 1
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / "mask.png"))
    sets, files = [], []
    for name, sigma in (("real", 1.0), ("synthetic", 1.6)):
        images = 128 + 250 * gaussian_filter(rng.normal(size=(4, *mask.shape)), (0, sigma, sigma))
        images = np.clip(images, 0, 255).astype(np.uint8)
        files.append([str(tmp_path / f"{name}_{index}.png") for index in range(4)])
        for image, file in zip(images, files[-1], strict=True):
            sitk.WriteImage(sitk.GetImageFromArray(image), file)
        sets.append(radiomics_features(images, np.repeat(mask[None], 4, axis=0), version).values)
    masks = [[str(tmp_path / "mask.png")] * 4] * 2
    wanted = package.compute_frd(files, frd_version=version, paths_masks=masks, num_workers=1)
    assert frd(*sets, version, package=True).value == pytest.approx(wanted, rel=1e-7)
    assert frd(*sets, version).value == pytest.approx(wanted, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 30), st.integers(3, 30), st.integers(2, 20))
def test_ignores_units_and_order(seed, n, m, d):
    real, synthetic = feature_sets(n, m, d, seed=seed)
    order = np.random.default_rng(seed).permutation(d)
    for version in ("v0", "v1"):
        value = frd(real, synthetic, version).value
        assert frd(real[::-1, order] * 1024, synthetic[:, order] * 1024, version).value == pytest.approx(
            value, rel=1e-3, abs=1e-3
        )


def test_equal_sets():
    real, _ = feature_sets(8, 8, 20)
    assert frd(real, real, "v0").value == pytest.approx(0, abs=1e-9)
    assert frd(real, real, "v1").value < -20
    assert frd(real, real, "v1", package=True).value < -5


def test_grows_with_the_difference():
    real, _ = feature_sets(10, 10, 30)
    noise = np.random.default_rng(9).normal(size=real.shape) * real.std(axis=0)
    for version in ("v0", "v1"):
        found = [frd(real, real + amount * noise, version).value for amount in (0.1, 0.3, 1, 3)]
        assert np.all(np.diff(found) > 0)


def test_refuses_sets_that_cannot_be_compared(refused):
    real, synthetic = feature_sets(5, 5, 8)
    refused(lambda: frd(real, synthetic[:, :-1]), "(5, 8) and (5, 7)")
    refused(lambda: frd(real, synthetic, "2"), "version", "v0 or v1")
    refused(lambda: frd(real[:1], synthetic), "too few images", "1 real, 5 synthetic")
    refused(lambda: frd(np.ones((4, 8)), synthetic), "no feature can be compared")
    refused(lambda: frd(real, np.where(np.arange(5)[:, None] > 0, np.nan, synthetic)), "5 real, 1 synthetic")
