import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion, distance_transform_edt

from pre2post.image.volume import Volume
from pre2post.io.volume_file import write_volume
from pre2post.metrics.mask_metrics import dice, measure, surface_distances

SHAPE = (6, 7, 8)
SPACING = (0.7, 1.9, 5.0)  # x, y, z
DIAGONAL = np.linalg.norm(np.multiply((7, 6, 5), SPACING))
MASKS = arrays(bool, SHAPE)
EMPTY = np.zeros(SHAPE, bool)


def masks(seed):
    random = np.random.default_rng(seed)
    return random.random(SHAPE) < 0.3, random.random(SHAPE) < 0.5


def blob(centre, radius, shape=(20, 40, 48)):
    """Return a ball of this radius in mm."""
    away = (np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))) * np.reshape(SPACING[::-1], (3, 1, 1, 1))
    return (away**2).sum(0) < radius**2


PAIRS = [
    (blob((10, 20, 24), 9), blob((11, 17, 27), 11)),  # overlapping
    (blob((4, 8, 8), 6), blob((16, 30, 40), 7)),  # apart
    (blob((0, 0, 0), 8), blob((19, 39, 47), 12)),  # at the volume's edges
    (blob((10, 20, 24), 12) & ~blob((10, 20, 24), 6), blob((10, 20, 24), 8) | blob((3, 5, 5), 4)),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
def test_dice_equals_monai(seed, dtype):
    from monai.metrics import compute_dice

    one, other = masks(seed)
    expected = compute_dice(torch.tensor(one)[None, None].float(), torch.tensor(other)[None, None].float())
    assert dice(one.astype(dtype), other.astype(dtype)) == pytest.approx(float(expected), abs=1e-6)


def test_overlap_and_volumes_equal_those_of_nnunet(tmp_path):
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    one, other = masks(9)
    files = [tmp_path / "true.nii.gz", tmp_path / "predicted.nii.gz"]
    for file, mask in zip(files, (one, other), strict=True):
        write_volume(Volume(mask.astype(np.uint8), (10.0, 10.0, 10.0)), file)
    expected = compute_metrics(*map(str, files), SimpleITKIO(), [1])["metrics"][1]
    found = measure(other, one, (10.0, 10.0, 10.0))  # a voxel is a millilitre
    assert found["dice"] == dice(other, one) == pytest.approx(expected["Dice"], abs=1e-12)
    assert (found["predicted_ml"], found["true_ml"]) == (expected["n_pred"], expected["n_ref"])
    assert found["relative_volume_difference"] == pytest.approx((expected["FP"] - expected["FN"]) / expected["n_ref"])
    shared = found["dice"] * (found["predicted_ml"] + found["true_ml"]) / 2
    assert shared == pytest.approx(expected["TP"])


@pytest.mark.filterwarnings("ignore::FutureWarning:monai.*")
@pytest.mark.parametrize("pair", [*PAIRS, masks(1)])
def test_distances_equal_those_of_monai_on_the_entire_volume(pair):
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    tensors = [torch.tensor(mask)[None, None] for mask in pair]
    options = {"include_background": True, "spacing": SPACING[::-1]}
    found = measure(*pair, SPACING)
    assert found["hd95"] == float(compute_hausdorff_distance(*tensors, percentile=95, **options))
    assert found["assd"] == float(compute_average_surface_distance(*tensors, symmetric=True, **options))


@pytest.mark.parametrize("pair", [*PAIRS, masks(1)])
def test_distances_equal_those_of_distance_transforms(pair):
    surfaces = [mask & ~binary_erosion(mask) for mask in pair]
    ways = [distance_transform_edt(~surfaces[1 - side], sampling=SPACING[::-1])[surfaces[side]] for side in (0, 1)]
    found = measure(*pair, SPACING)
    assert found["hd95"] == pytest.approx(max(np.percentile(way, 95) for way in ways), rel=1e-5)
    assert found["assd"] == pytest.approx(np.concatenate(ways).mean(), rel=1e-5)


@settings(deadline=None)
@given(MASKS, MASKS)
def test_overlap_and_distances_are_symmetric(one, other):
    there, back = measure(one, other, SPACING), measure(other, one, SPACING)
    for name in ("dice", "hd95", "assd", "detected"):
        assert there[name] == pytest.approx(back[name])
    assert (there["predicted_ml"], there["true_ml"]) == (back["true_ml"], back["predicted_ml"])


@settings(deadline=None)
@given(MASKS)
def test_a_mask_has_distance_0_to_itself(mask):
    assume(mask.any())
    found = measure(mask, mask, SPACING)
    assert (found["dice"], found["hd95"], found["assd"], found["relative_volume_difference"]) == (1, 0, 0, 0)
    assert (found["lesion_sensitivity"], found["false_positives"], found["detected"]) == (1, 0, 1)


@settings(deadline=None)
@given(MASKS, MASKS, st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 3))
def test_empty_space_around_changes_nothing(one, other, margins):
    assume(one.any() and other.any())
    assert measure(np.pad(one, margins), np.pad(other, margins), SPACING) == measure(one, other, SPACING)


@settings(deadline=None)
@given(MASKS, MASKS, st.floats(0.01, 1))
def test_every_measure_is_finite_and_in_its_range(one, other, overlap):
    assume(one.any() or other.any())
    found = measure(one, other, SPACING, overlap)
    assert np.isfinite(list(found.values())).all()
    assert (
        0 <= found["dice"] <= 1 and 0 <= found["lesion_sensitivity"] <= 1 and found["relative_volume_difference"] >= -1
    )
    assert 0 <= found["assd"] <= DIAGONAL * (1 + 1e-6) and 0 <= found["hd95"] <= DIAGONAL * (1 + 1e-6)
    assert found["detected"] == (found["lesion_sensitivity"] > 0 and other.any())


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("thick", [(), (0,), (0, 1)])
def test_a_shift_by_one_voxel_is_the_spacing_of_that_axis(axis, thick):
    """A voxel, a rod and a plate, shifted across."""
    mask = EMPTY.copy()
    across = [place for place in range(3) if place != axis]
    index = [3, 3, 3]
    for place in thick:
        index[across[place]] = slice(None)
    mask[tuple(index)] = True
    found = measure(np.roll(mask, 1, axis), mask, SPACING)
    assert (found["hd95"], found["assd"]) == pytest.approx((SPACING[::-1][axis],) * 2)


def lesion_pair():
    """True mask: 20, 10 and one voxel. Predicted: 2 of the 20, none of the 10, two components elsewhere."""
    true, predicted = np.zeros((2, 8, 20, 20), bool)
    true[2, 2, :], true[2, 10, :10], true[7, 19, 19] = True, True, True
    predicted[2, 2, :2] = True
    predicted[6, 5:8, 5], predicted[6, 15, 15] = True, True
    return predicted, true


def test_a_lesion_is_found_by_the_overlap_of_one_piece_with_it():
    predicted, true = lesion_pair()
    found = measure(predicted, true, SPACING, overlap=0.1)
    assert (found["lesions"], found["false_positives"], found["detected"]) == (3, 2, 1)
    assert {type(value) for value in found.values()} == {int, float}  # plain numbers, for tables and JSON
    assert found["lesion_sensitivity"] == pytest.approx(1 / 3)
    assert measure(predicted, true, SPACING, overlap=0.11)["lesion_sensitivity"] == 0
    predicted[2, 10, :3] = True  # 3 of 10
    assert measure(predicted, true, SPACING, overlap=0.3)["lesion_sensitivity"] == pytest.approx(1 / 3)
    assert measure(predicted, true, SPACING, overlap=0.1)["lesion_sensitivity"] == pytest.approx(2 / 3)


def test_a_component_over_two_lesions_finds_the_one_it_overlaps_most():
    predicted, true = lesion_pair()
    predicted[2, 2, :2], predicted[2, 2:11, 3] = False, True  # one voxel in each of two lesions
    found = measure(predicted, true, SPACING, overlap=0.03)
    assert (found["lesion_sensitivity"], found["false_positives"]) == (pytest.approx(1 / 3), 2)


def test_a_large_prediction_that_covers_a_small_lesion_is_a_false_positive():
    true = np.zeros((8, 20, 20), bool)
    true[4, 10, 10] = True
    found = measure(np.ones_like(true), true, SPACING, overlap=0.1)
    assert (found["detected"], found["lesion_sensitivity"], found["false_positives"]) == (0, 0, 1)
    assert found["dice"] > 0


def test_small_components_of_either_mask_are_not_counted():
    predicted, true = lesion_pair()
    voxel = np.prod(SPACING) / 1000
    found = measure(predicted, true, SPACING, smallest_ml=2 * voxel)
    assert (found["lesions"], found["lesion_sensitivity"], found["false_positives"]) == (2, 0.5, 1)
    assert found["true_ml"] == pytest.approx(31 * voxel)


def test_nothing_predicted():
    found = measure(EMPTY, masks(0)[0], SPACING)
    assert {
        name: found[name]
        for name in ("dice", "lesion_sensitivity", "false_positives", "detected", "relative_volume_difference")
    } == {
        "dice": 0,
        "lesion_sensitivity": 0,
        "false_positives": 0,
        "detected": 0,
        "relative_volume_difference": -1,
    }
    assert found["hd95"] == found["assd"] == pytest.approx(DIAGONAL)


def test_nothing_true():
    predicted = EMPTY.copy()
    predicted[0, 0, 0] = predicted[4, 4, 4] = True
    found = measure(predicted, EMPTY, SPACING)
    assert {
        name: found[name]
        for name in ("dice", "lesions", "lesion_sensitivity", "false_positives", "relative_volume_difference")
    } == {
        "dice": 0,
        "lesions": 0,
        "lesion_sensitivity": 1,
        "false_positives": 2,
        "relative_volume_difference": 1,
    }
    assert found["hd95"] == found["assd"] == pytest.approx(DIAGONAL)


def test_nothing_in_either():
    found = measure(EMPTY, EMPTY, SPACING)
    assert (found.pop("dice"), found.pop("lesion_sensitivity")) == (1, 1)
    assert set(found.values()) == {0}


def test_the_penalty_is_the_largest_possible_distance():
    corner, opposite = EMPTY.copy(), EMPTY.copy()
    corner[0, 0, 0] = opposite[-1, -1, -1] = True
    assert measure(corner, opposite, SPACING)["hd95"] == pytest.approx(measure(corner, EMPTY, SPACING)["hd95"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_number_types_and_layout_do_not_matter(dtype):
    one, other = masks(3)
    expected = measure(one, other, SPACING)
    assert measure((one * 7).astype(dtype), other.astype(dtype), SPACING) == expected
    assert measure(np.asfortranarray(one), other[:, ::-1].copy()[:, ::-1], SPACING) == expected


def test_surface_distances_of_empty_masks():
    assert surface_distances(EMPTY, EMPTY, SPACING) == (0, 0)
    assert surface_distances(EMPTY, ~EMPTY, SPACING) is None and surface_distances(~EMPTY, EMPTY, SPACING) is None


def test_empty_masks():
    empty, full = np.zeros((2, 3, 4), np.uint8), np.ones((2, 3, 4), np.uint8)
    assert (dice(empty, empty), dice(empty, full), dice(full, empty), dice(full, full)) == (1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("compare", [dice, lambda one, other: measure(one, other, SPACING)])
def test_masks_of_two_shapes_are_refused(compare):
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(np.zeros((2, 2, 2)), np.zeros((2, 2, 1)))
