import numpy as np
import pytest
import torch

from imaging.masks import millilitres
from imaging.volume import Volume, write_volume
from segmentation.measures import dice


def masks(seed):
    random = np.random.default_rng(seed)
    return random.random((6, 7, 8)) < 0.3, random.random((6, 7, 8)) < 0.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
def test_dice_equals_monai(seed, dtype):
    from monai.metrics import compute_dice

    one, other = masks(seed)
    expected = compute_dice(torch.tensor(one)[None, None].float(), torch.tensor(other)[None, None].float())
    assert dice(one.astype(dtype), other.astype(dtype)) == pytest.approx(float(expected), abs=1e-6)


def test_dice_equals_nnunet(tmp_path):
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    one, other = masks(9)
    files = [tmp_path / "true.nii.gz", tmp_path / "predicted.nii.gz"]
    for file, mask in zip(files, (one, other), strict=True):
        write_volume(Volume(mask.astype(np.uint8)), file)
    found = compute_metrics(*map(str, files), SimpleITKIO(), [1])["metrics"][1]
    assert dice(other, one) == pytest.approx(found["Dice"], abs=1e-12)
    assert millilitres(other, (10, 10, 10)) == found["n_pred"]


def test_empty_masks():
    empty, full = np.zeros((2, 3, 4), np.uint8), np.ones((2, 3, 4), np.uint8)
    assert (dice(empty, empty), dice(empty, full), dice(full, empty), dice(full, full)) == (1.0, 0.0, 0.0, 1.0)


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(np.zeros((2, 2)), np.zeros((2, 1)))
