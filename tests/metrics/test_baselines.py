import numpy as np
import pytest

from pre2post.core.errors import InputError
from pre2post.metrics.baselines import BlurredTable, fit_blurred_table, fit_lookup_table


def curve(x):
    """A curve that rises and falls, unlike any monotone table."""
    return 0.8 * np.sin(3 * x) + 0.1


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_recovers_a_curve_under_noise(kind):
    rng = np.random.default_rng(0)
    pre = rng.random((20, 64, 64)).astype(kind)
    post = (curve(pre) + rng.normal(0, 0.05, pre.shape)).astype(kind)
    lookup = fit_lookup_table(pre, post)
    x = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(lookup(x), curve(x), atol=0.02)
    assert lookup(pre).shape == pre.shape
    assert lookup(pre).dtype == np.float32


def test_is_close_to_the_best_function_of_the_grey_level():
    """The error of the conditional mean is the noise only: no polynomial has a lower error on the same pixels."""
    rng = np.random.default_rng(1)
    pre = np.abs(rng.normal(0, 0.3, (20, 64, 64)))
    post = np.where(pre > 0.4, 2 * pre, pre**2) * rng.gamma(4, 0.25, pre.shape)
    error = np.square(fit_lookup_table(pre, post)(pre) - post).mean()
    fitted = np.polynomial.Polynomial.fit(pre.ravel(), post.ravel(), 9)(pre)
    assert error < np.square(fitted - post).mean()
    assert error < np.square(pre - post).mean()


def test_integers_are_cast_first():
    """Sums of 8-bit images would wrap."""
    pre = np.random.default_rng(2).integers(0, 256, (4, 64, 64)).astype(np.uint8)
    lookup = fit_lookup_table(pre, 255 - pre)
    np.testing.assert_allclose(lookup(pre), 255.0 - pre, atol=1e-3)


def test_extrapolates_in_straight_lines():
    pre = np.random.default_rng(3).uniform(0.2, 0.6, (4, 64, 64))
    lookup = fit_lookup_table(pre, 3 * pre - 0.1)
    x = np.array([-1, 0, 1, 5])
    np.testing.assert_allclose(lookup(x), 3 * x - 0.1, rtol=1e-4)


def test_many_equal_grey_levels_give_one_knot():
    pre = np.zeros((4, 64, 64))
    pre[:, :20] = np.random.default_rng(4).uniform(0.1, 1, (4, 20, 64))
    post = np.where(pre > 0, pre + 0.5, 0.02)
    lookup = fit_lookup_table(pre, post)
    assert lookup(0.0) == pytest.approx(0.02, abs=0.01)
    assert lookup(0.55) == pytest.approx(1.05, abs=0.01)
    assert np.all(np.diff(lookup.pre) > 0)


def test_two_grey_levels_and_few_pixels_are_enough():
    pre = np.array([[[0.0, 0.0], [1.0, 1.0]]])
    lookup = fit_lookup_table(pre, 2 * pre + 1)
    np.testing.assert_allclose(lookup([0, 1, 2]), [1, 3, 5], rtol=1e-6)


def test_huge_sets_are_thinned_evenly(monkeypatch):
    rng = np.random.default_rng(5)
    pre = rng.random((40, 32, 32))
    monkeypatch.setattr("pre2post.metrics.baselines.MAX_PIXELS", 10 * 32 * 32)
    post = np.where(np.arange(40)[:, None, None] % 4 == 0, pre, np.nan)  # the other slices would be refused
    assert fit_lookup_table(pre, post)(0.5) == pytest.approx(0.5, abs=1e-3)


def test_refuses_unusable_slices():
    pre = np.random.default_rng(6).random((2, 16, 16))
    with pytest.raises(InputError, match="different shapes"):
        fit_lookup_table(pre, pre[:1])
    with pytest.raises(InputError, match="not finite"):
        fit_lookup_table(pre, np.where(pre > 0.5, np.inf, pre))
    with pytest.raises(InputError, match="more than one grey level"):
        fit_lookup_table(np.zeros_like(pre), pre)


def smooth_pair(noise):
    """Return smooth images with noise, and a curve of the images without it."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(3)
    clean = 0.5 + 4 * gaussian_filter(rng.normal(size=(12, 64, 64)), (0, 6, 6))
    return clean + rng.normal(0, noise, clean.shape), curve(clean)


def test_the_blur_is_the_wider_the_noisier_the_images():
    widths = [fit_blurred_table(*smooth_pair(noise)).sigma for noise in (0.0, 0.02, 0.2)]
    assert widths[0] < widths[1] < widths[2]


def test_a_blur_denoises_what_a_table_cannot():
    pre, post = smooth_pair(0.1)
    plain, blurred = fit_lookup_table(pre, post), fit_blurred_table(pre, post)
    assert np.square(blurred(pre) - post).mean() < 0.5 * np.square(plain(pre) - post).mean()
    assert blurred(pre).dtype == np.float32 and blurred(pre).shape == pre.shape


def test_the_blur_stays_in_the_plane_of_a_slice():
    table = fit_lookup_table(np.linspace(0, 1, 4096).reshape(1, 64, 64), np.linspace(0, 1, 4096).reshape(1, 64, 64))
    images = np.zeros((3, 9, 9))
    images[1, 4, 4] = 1
    found = BlurredTable(1.0, table)(images)
    assert found[1, 4, 3] > 0.05 and abs(found[0]).max() < 1e-3
