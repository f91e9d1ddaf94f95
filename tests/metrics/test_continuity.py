import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.metrics.continuity import AXES, continuity

SHAPE = (4, 5, 6)
EVERYWHERE = np.ones(SHAPE, bool)


def noise(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape)


def test_by_hand():
    """Neighbours of the real volume differ by 4 along z, 2 along y, 1 along x."""
    z, y, x = np.mgrid[:4, :5, :6]
    real = 4.0 * z + 2 * y + x
    synthetic = 8.0 * z + 2 * y + 0.25 * x
    assert continuity(real, synthetic, EVERYWHERE) == pytest.approx({"z": 2, "y": 1, "x": 0.25})


def test_slices_that_do_not_fit_together_change_z_only():
    real = noise(0, (8, 20, 20))
    synthetic = real + 3 * (np.arange(8) % 2)[:, None, None]
    found = continuity(real, synthetic, np.ones(real.shape, bool))
    assert found["z"] > 2
    assert (found["y"], found["x"]) == pytest.approx((1, 1))


def test_a_blurred_volume_is_smoother():
    from scipy.ndimage import gaussian_filter

    real = noise(1, (8, 20, 20))
    assert max(continuity(real, gaussian_filter(real, 1), np.ones(real.shape, bool)).values()) < 0.7


def test_only_pairs_inside_the_region_count():
    real = noise(2)
    region = np.zeros(SHAPE, bool)
    region[1:3, 1:4, 2:5] = True
    synthetic = np.where(region, 3 * real, 1000)
    assert continuity(real, synthetic, region) == pytest.approx({"z": 3, "y": 3, "x": 3})


def test_equals_numpy_differences_over_the_entire_volume():
    real, synthetic = noise(3), noise(4)
    wanted = {
        name: np.abs(np.diff(synthetic, axis=axis)).mean() / np.abs(np.diff(real, axis=axis)).mean()
        for axis, name in enumerate(AXES)
    }
    assert continuity(real, synthetic, EVERYWHERE) == pytest.approx(wanted, rel=1e-12)


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_the_ratio_equals_the_scale_whatever_the_shift(seed, factor, shift):
    real = noise(seed)
    found = continuity(real, factor * real + shift, EVERYWHERE)
    assert found == pytest.approx(dict.fromkeys(AXES, factor), rel=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_number_types_do_not_matter(kind):
    """In 8 bits a decrease by one grey level would be an increase of 255."""
    real, synthetic = ((40 * noise(seed) + 120).astype(kind) for seed in (5, 6))
    assert continuity(real, synthetic, EVERYWHERE) == pytest.approx(
        continuity(real.astype(float), synthetic.astype(float), EVERYWHERE), rel=1e-12
    )


def test_refuses_bad_volumes_and_regions(refused):
    real, synthetic = noise(7), noise(8)
    one_slice = np.zeros(SHAPE, bool)
    one_slice[2] = True
    refused(lambda: continuity(real, synthetic, one_slice), "no neighbouring voxels along z")
    refused(lambda: continuity(real, synthetic, np.zeros(SHAPE, bool)), "no neighbouring voxels along z")
    refused(lambda: continuity(real, synthetic, EVERYWHERE[:2]), "another shape", "(2, 5, 6)")
    refused(lambda: continuity(real[0], synthetic[0], EVERYWHERE[0]), "not (z, y, x)")
    refused(lambda: continuity(real, synthetic[:2], EVERYWHERE), "different shapes")
    flat = np.broadcast_to(np.arange(6.0), SHAPE)
    refused(lambda: continuity(flat, synthetic, EVERYWHERE), "does not change along z")
    synthetic[1, 1, 1] = np.inf
    refused(lambda: continuity(real, synthetic, EVERYWHERE), "not finite")
