import numpy as np
import pytest

from pipeline.errors import InputError
from quality.checkpoint_scores import describe_real, patient_means, score_checkpoint
from quality.pixel import slice_metrics

NAMES = {"ssim", "mse", "mae", "fd_random", "fd_texture"}


def test_the_real_slices_score_perfectly_and_noise_worse(tumour_slices):
    slices = tumour_slices(60, 1, 0)
    real = describe_real(slices, [f"p{i // 6}" for i in range(60)], seed=3)
    noise = np.random.default_rng(0).normal(size=slices.shape)
    perfect, little, much = (score_checkpoint(real, slices + sd * noise) for sd in (0, 0.01, 0.05))
    assert perfect == pytest.approx({"ssim": 1, "mse": 0, "mae": 0, "fd_random": 0, "fd_texture": 0}, abs=1e-6)
    for name in NAMES - {"ssim"}:
        assert perfect[name] < little[name] < much[name], name
    assert perfect["ssim"] > little["ssim"] > much["ssim"]
    assert all(type(value) is float for value in much.values())


def test_each_patient_counts_the_same(tumour_slices):
    slices = tumour_slices(9, 1, 0)
    synthetic = slices.copy()
    synthetic[0] += 0.3
    patients = ["a"] + ["b"] * 8
    found = score_checkpoint(describe_real(slices, patients, 0), synthetic)
    assert found["mae"] == pytest.approx(0.15, rel=1e-5)
    assert found["mse"] == pytest.approx(0.045, rel=1e-5)
    assert found["ssim"] == pytest.approx((slice_metrics(slices, synthetic, 1.0)["ssim"][0] + 1) / 2)


def test_patient_means_in_any_order():
    assert patient_means(np.array([1.0, 10.0, 3.0]), ["b", "a", "b"]) == {"a": 10.0, "b": 2.0}


def test_seed_changes_the_random_features_only(tumour_slices):
    slices = tumour_slices(20, 1, 0)
    one, other = (score_checkpoint(describe_real(slices, ["p"] * 20, seed), slices * 0.9) for seed in (1, 2))
    assert {name for name in NAMES if one[name] != other[name]} == {"fd_random"}


def test_refuses_what_does_not_fit(tumour_slices):
    slices = tumour_slices(6, 1, 0)
    with pytest.raises(InputError, match="needs its patient"):
        describe_real(slices, ["p"] * 5, 0)
    real = describe_real(slices, ["p"] * 6, 0)
    with pytest.raises(InputError, match="different shapes"):
        score_checkpoint(real, slices[:5])
    with pytest.raises(InputError, match="not finite"):
        score_checkpoint(real, np.where(slices > 0.5, np.nan, slices))
