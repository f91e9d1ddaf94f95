import numpy as np
import pytest

from pre2post.metrics.lesion_properties import SHELL, enhancement_error, entropy, image_properties, lesion_shell

SPACING = (2.0, 2.5, 5.0)  # x, y, z


def ball(shape=(9, 30, 32), centre=(4, 14, 15), radius=6.0):
    z, y, x = np.indices(shape)
    return ((z - centre[0]) * 5.0) ** 2 + ((y - centre[1]) * 2.5) ** 2 + ((x - centre[2]) * 2.0) ** 2 <= radius**2


def brute_force_shell(lesion, tissue):
    inside = np.argwhere(lesion) * SPACING[::-1]
    return np.array(
        [
            not lesion[tuple(place)]
            and tissue[tuple(place)]
            and np.linalg.norm(inside - place * SPACING[::-1], axis=1).min() <= SHELL
            for place in np.argwhere(np.ones_like(lesion))
        ]
    ).reshape(lesion.shape)


@pytest.mark.parametrize("centre", [(4, 14, 15), (0, 0, 31), (8, 29, 2)])
def test_the_shell_is_the_tissue_within_its_width_in_mm(centre):
    lesion = ball(centre=centre)
    tissue = np.random.default_rng(0).random(lesion.shape) < 0.8
    np.testing.assert_array_equal(lesion_shell(lesion, tissue, SPACING), brute_force_shell(lesion, tissue))


def test_the_shell_of_several_lesions_surrounds_each_and_contains_none():
    lesion = ball(centre=(4, 6, 6)) | ball(centre=(4, 24, 26))
    np.testing.assert_array_equal(
        lesion_shell(lesion.astype(np.uint8), np.ones(lesion.shape, bool), SPACING),
        brute_force_shell(lesion, np.ones(lesion.shape, bool)),
    )


def test_contrast_is_the_difference_of_means_over_the_noise_around():
    image, lesion = np.zeros((1, 2, 4)), np.zeros((1, 2, 4), bool)
    image[0] = [[0.5, 0.7, 9, 9], [0.1, 0.3, 0.1, 0.3]]
    lesion[0, 0, :2] = True
    shell = np.zeros_like(lesion)
    shell[0, 1] = True
    found = image_properties(image, lesion, shell)
    assert found["contrast"] == pytest.approx((0.6 - 0.2) / 0.1)
    assert found["heterogeneity"] == pytest.approx(0.1 / 0.6)


def test_contrast_does_not_change_with_the_scale_and_heterogeneity_not_with_the_unit():
    rng, lesion = np.random.default_rng(1), ball()
    shell = lesion_shell(lesion, np.ones(lesion.shape, bool), SPACING)
    image = rng.normal(0.4, 0.05, lesion.shape) + 0.2 * lesion
    one, scaled, shifted = (image_properties(values, lesion, shell) for values in (image, 3 * image, 3 * image + 2))
    assert scaled["contrast"] == shifted["contrast"] == pytest.approx(one["contrast"])
    assert scaled["heterogeneity"] == pytest.approx(one["heterogeneity"])
    assert one["contrast"] == pytest.approx(4, abs=0.5)


def test_entropy_in_bits():
    assert entropy([0.2] * 9) == 0
    assert entropy([0.1, 0.9]) == pytest.approx(1)
    assert entropy((np.arange(64) + 0.5) / 64) == pytest.approx(6)
    assert entropy([-5.0, 0.001, 1.5, 0.999]) == pytest.approx(1)  # outside 0 to 1: the outer bins


def test_entropy_is_pyradiomics():
    import SimpleITK as sitk
    from radiomics.firstorder import RadiomicsFirstOrder

    rng, lesion = np.random.default_rng(2), ball()
    image = np.clip(rng.normal(0.5, 0.1, lesion.shape), 0, 0.999)
    theirs = RadiomicsFirstOrder(
        sitk.GetImageFromArray(image), sitk.GetImageFromArray(lesion.astype(np.uint8)), binWidth=1 / 64
    )
    theirs.enableFeatureByName("Entropy")
    assert image_properties(image, lesion, ~lesion)["entropy"] == pytest.approx(float(theirs.execute()["Entropy"]))


def test_values_without_a_denominator_are_none():
    lesion = ball()
    flat = image_properties(np.zeros(lesion.shape, np.float32), lesion, ~lesion)
    assert flat == {"contrast": None, "heterogeneity": None, "entropy": 0}
    alone = image_properties(np.random.default_rng(0).random(lesion.shape), lesion, np.zeros_like(lesion))
    assert alone["contrast"] is None and alone["heterogeneity"] > 0


def test_empty_lesions_and_values_that_are_not_finite_are_refused(refused):
    lesion = ball()
    image = np.ones(lesion.shape)
    refused(lambda: image_properties(image, np.zeros_like(lesion), lesion), "0 voxels inside")
    image[4, 14, 15] = np.nan
    refused(lambda: image_properties(image, lesion, ~lesion), "finite")
    with pytest.raises(ValueError, match="empty"):
        lesion_shell(np.zeros_like(lesion), lesion, SPACING)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_enhancement_error_is_the_mean_difference_in_the_lesion(dtype):
    lesion = ball()
    real, synthetic = np.full(lesion.shape, 200, dtype), np.full(lesion.shape, 90, dtype)
    synthetic[~lesion] = 250
    assert enhancement_error(real, synthetic, lesion) == -110
