"""N4 removes a smooth field, and one field for all phases preserves enhancement."""

import numpy as np
import pytest

from pre2post.image.n4 import log_bias_field, remove_bias
from pre2post.image.volume import Volume


@pytest.fixture(scope="module")
def shaded():
    """A ball of two tissues under a field that doubles from left to right."""
    rng = np.random.default_rng(0)
    _, y, x = np.indices((8, 48, 48))
    inside = (y - 24) ** 2 + (x - 24) ** 2 < 20**2
    tissue = np.where((x // 6 + y // 6) % 2, 500, 650) * inside
    field = np.exp(np.log(2) * (x - 24) / 48)
    noisy = (tissue * field + rng.normal(0, 3, tissue.shape)).clip(0)
    return inside, tissue, Volume(noisy.astype(np.float32), (2, 2, 4))


def test_the_field_is_removed(shaded):
    inside, tissue, volume = shaded
    corrected = remove_bias(volume.array, log_bias_field(volume))
    assert corrected.dtype == np.float32 and np.isfinite(corrected).all()
    bright = inside & (tissue == 650)
    spread = [array[bright].std() / array[bright].mean() for array in (volume.array, corrected)]
    assert spread[1] < 0.35 * spread[0]


def test_enhancement_is_preserved(shaded):
    inside, _, volume = shaded
    field = log_bias_field(volume)
    pre, post = (remove_bias(volume.array * gain, field) for gain in (1, 1.7))
    np.testing.assert_allclose(post[inside] / pre[inside], 1.7, rtol=1e-4)


def test_the_same_volume_gives_the_same_field(shaded):
    np.testing.assert_array_equal(log_bias_field(shaded[2]), log_bias_field(shaded[2]))
