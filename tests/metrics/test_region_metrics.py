import numpy as np
import pytest

from pre2post.core.errors import InputError
from pre2post.metrics.region_metrics import region_metrics
from pre2post.metrics.ssim import ssim, ssim_map


@pytest.fixture
def volumes():
    rng = np.random.default_rng(3)
    real = rng.random((6, 24, 20)).astype(np.float32)
    return real, (real + rng.normal(0, 0.1, real.shape)).astype(np.float32)


def test_pools_the_voxels_of_a_region(volumes, monkeypatch):
    real, synthetic = volumes
    mask = np.zeros(real.shape, bool)
    mask[1, 4:9, 5:7] = mask[4, 10:20, 3:18] = True
    difference = synthetic.astype(float)[mask] - real[mask]
    monkeypatch.setattr("pre2post.metrics.pixel.CHUNK_PIXELS", 1000)  # two slices at a time
    found = region_metrics(real, synthetic, {"lesion": mask}, 1.0)["lesion"]
    assert found["mae"] == pytest.approx(np.abs(difference).mean(), rel=1e-12)
    assert found["mse"] == pytest.approx(np.square(difference).mean(), rel=1e-12)
    assert found["psnr"] == pytest.approx(-10 * np.log10(np.square(difference).mean()), rel=1e-12)
    power = np.square(real.astype(float)[mask])
    assert found["nmse"] == pytest.approx(np.square(difference).sum() / power.sum(), rel=1e-12)
    assert found["ssim"] == pytest.approx(ssim_map(real, synthetic, 1.0)[mask].mean(), rel=1e-12)


def test_the_entire_volume_is_the_mean_over_slices(volumes):
    found = region_metrics(*volumes, {"whole": None}, 1.0)["whole"]
    assert found["ssim"] == pytest.approx(ssim(*volumes, 1.0).mean(), rel=1e-12)
    assert found["mse"] == pytest.approx(np.square(volumes[1].astype(float) - volumes[0]).mean(), rel=1e-12)


def test_error_outside_a_region_does_not_count(volumes):
    real = volumes[0]
    synthetic = real.copy()
    synthetic[:, :, 15:] += 1
    mask = np.zeros(real.shape, bool)
    mask[:, 5:15, :8] = True  # seven pixels away, beyond the window
    found = region_metrics(real, synthetic, {"near": mask, "whole": None}, 1.0)
    assert found["near"]["mae"] == 0
    assert found["near"]["ssim"] == pytest.approx(1)
    assert found["near"]["psnr"] == np.inf
    assert found["whole"]["mae"] == pytest.approx(0.25)


def test_refuses_empty_and_misshapen_regions_by_name(volumes):
    with pytest.raises(InputError, match="region lesion is empty"):
        region_metrics(*volumes, {"lesion": np.zeros(volumes[0].shape, bool)}, 1.0)
    with pytest.raises(InputError, match="region breast has another shape"):
        region_metrics(*volumes, {"breast": np.ones((2, 2, 2), bool)}, 1.0)
    with pytest.raises(InputError, match="not a volume"):
        region_metrics(volumes[0][0], volumes[1][0], {"whole": None}, 1.0)
