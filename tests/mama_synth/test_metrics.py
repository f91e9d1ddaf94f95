"""Compare the challenge's metrics with scikit-image and with their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from skimage import metrics as reference

from pre2post.mama_synth.metrics import from_z_score, hausdorff_95, lpips_range, to_z_score, tumour_ssim


def pair(shape=(24, 30), seed=0):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=shape)
    return real, real + rng.normal(0, 0.5, shape)


def disc(y, x, radius, shape=(24, 30)):
    rows, columns = np.indices(shape)
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@given(st.floats(-1e4, 1e4))
def test_z_scores_can_be_inverted(value):
    assert from_z_score(to_z_score(value)) == pytest.approx(value, rel=1e-12, abs=1e-9)


def test_z_score_of_integers():
    found = to_z_score(np.array([0, 107, 255], np.uint8))
    np.testing.assert_allclose(found, [-0.48831977, -0.00187277, 0.67097276], rtol=1e-5)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
def test_ssim_equals_scikit_image(kind):
    real, synthetic = (image.astype(kind) for image in pair())
    mask = disc(10, 12, 4)
    _, index = reference.structural_similarity(synthetic.astype(float), real.astype(float), data_range=10, full=True)
    assert tumour_ssim(real, synthetic, mask) == pytest.approx(index[mask].mean(), abs=1e-12)
    assert tumour_ssim(real, synthetic, 255 * mask.astype(np.uint8)) == tumour_ssim(real, synthetic, mask)
    assert tumour_ssim(real, real, mask) == pytest.approx(1)


def test_ssim_at_one_pixel_follows_the_equation():
    """Wang et al. 2004, equation 13, over 7 x 7 pixels of equal weight, with sample covariances."""
    real, synthetic = pair(seed=3)
    mask = np.zeros(real.shape, bool)
    mask[9, 11] = True
    x, y = real[6:13, 8:15].ravel(), synthetic[6:13, 8:15].ravel()
    c1, c2 = (0.01 * 10) ** 2, (0.03 * 10) ** 2
    wanted = (
        (2 * x.mean() * y.mean() + c1)
        * (2 * np.cov(x, y)[0, 1] + c2)
        / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var(ddof=1) + y.var(ddof=1) + c2))
    )
    assert tumour_ssim(real, synthetic, mask) == pytest.approx(wanted, rel=1e-12)


def test_lpips_range_clips_at_five_standard_deviations():
    np.testing.assert_allclose(lpips_range([-9, -5, -1, 0, 2.5, 5, 7]), [-1, -1, -0.2, 0, 0.5, 1, 1])


def by_definition(predicted, true):
    """Return the percentile of the distances of every border pixel to every pixel of the other mask."""
    distances = []
    for one, other in ((predicted, true), (true, predicted)):
        padded = np.pad(one, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        distances.append(cdist(np.argwhere(one & ~inner), np.argwhere(other)).min(axis=1))
    return np.percentile(np.concatenate(distances), 95)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([bool, np.uint8, np.float32]))
def test_hausdorff_equals_its_definition(seed, kind):
    rng = np.random.default_rng(seed)
    predicted, true = (disc(*rng.uniform((0, 0, 0.5), (24, 30, 9))) & (rng.random((24, 30)) < 0.95) for _ in range(2))
    if not predicted.any() or not true.any():
        return
    found = hausdorff_95(predicted.astype(kind), true.astype(kind))
    assert found == pytest.approx(by_definition(predicted, true))
    assert found == hausdorff_95(true, predicted)
    assert found <= reference.hausdorff_distance(predicted, true) + 1e-9


@pytest.mark.filterwarnings("ignore::FutureWarning:monai.*")
def test_hausdorff_equals_monai_between_shifted_lines():
    """All pixels of a line are border pixels, with equal distances in both directions: there the definitions agree."""
    import torch
    from monai.metrics import compute_hausdorff_distance

    one, other = np.zeros((2, 24, 30), bool)
    one[10, 5:20] = other[14, 5:20] = True
    tensors = (torch.tensor(mask)[None, None].float() for mask in (one, other))
    wanted = float(compute_hausdorff_distance(*tensors, include_background=True, percentile=95))
    assert hausdorff_95(one, other) == wanted == 4


def test_hausdorff_of_single_pixels_equal_and_empty_masks():
    empty, full, one, other = np.zeros((4, 9, 9), np.uint8)
    full[:], one[2, 3], other[5, 7] = 1, 1, 1
    assert hausdorff_95(one, other) == 5
    assert hausdorff_95(full, full) == hausdorff_95(empty, empty) == 0
    assert hausdorff_95(full, empty) == hausdorff_95(empty, one) == np.inf


def test_refuses_masks_and_images_that_do_not_match(refused):
    real, synthetic = pair()
    mask = disc(10, 12, 4)
    refused(lambda: tumour_ssim(real, synthetic, mask & False), "not empty")
    refused(lambda: tumour_ssim(real, synthetic, mask[:-1]), "mask of the image's shape")
    refused(lambda: tumour_ssim(real[:5], synthetic[:5], mask[:5]), "smaller than the SSIM window")
    refused(lambda: tumour_ssim(real, np.where(mask, np.nan, real), mask), "not finite")
    refused(lambda: hausdorff_95(mask, mask[1:]), "different shapes")
