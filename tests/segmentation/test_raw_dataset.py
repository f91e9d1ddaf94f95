import json

import numpy as np
import pytest

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume, write_volume

pytestmark = pytest.mark.slow


def change_mask(root, change):
    file = root / "artifacts/volumes/b/mask.nii.gz"
    mask = read_volume(file, np.uint8)
    write_volume(change(mask), file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask.like(mask.array * 0), "no tumour"),
        (lambda mask: mask.like(mask.array * 2), "unexpected labels"),
        (lambda mask: Volume(mask.array, mask.spacing, (0.0, 0.0, 0.0)), "differ in geometry"),
        (lambda mask: Volume(mask.array[1:], mask.spacing, mask.origin), "differ in geometry"),
    ],
)
def test_a_mask_that_cannot_train_is_refused_by_name(cohort, stage, change, message):
    change_mask(cohort, change)
    with pytest.raises(InputError, match=message) as error:
        stage(cohort, "plan_and_preprocess")
    assert error.value.case == "b"
    assert not list((cohort / "artifacts").glob("*nnunet*"))


def test_a_missing_synthetic_volume_is_refused_by_name(cohort, stage):
    (cohort / "artifacts/synthetic/c.nii.gz").unlink()
    with pytest.raises(InputError, match="synthetic volume is missing") as error:
        stage(cohort, "plan_and_preprocess")
    assert error.value.case == "c"


def test_a_phase_that_a_case_lacks_is_refused_by_name(cohort, stage, set_params):
    set_params(cohort, mixes={"late": {"post2": 1.0}}, train=["late"], evaluator="late")
    with pytest.raises(InputError, match="no post2") as error:
        stage(cohort, "plan_and_preprocess")
    assert error.value.case == "a"


def test_failed_planning_keeps_the_earlier_result(cohort, stage):
    (cohort / "artifacts/nnunet").mkdir()
    (cohort / "artifacts/nnunet/earlier").touch()
    change_mask(cohort, lambda mask: mask.like(mask.array * 3))
    with pytest.raises(InputError):
        stage(cohort, "plan_and_preprocess")
    assert [file.name for file in (cohort / "artifacts/nnunet").iterdir()] == ["earlier"]


def test_the_raw_dataset_is_one_that_nnunet_reads(planned):
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = planned / "artifacts/nnunet/nnUNet_raw/Dataset200_pre2post"
    content = json.loads((folder / "dataset.json").read_text())
    listed = get_filenames_of_train_images_and_targets(str(folder), dict(content))
    assert sorted(listed) == sorted(f"{case}__{phase}" for case in "abcd" for phase in ("pre", "synthetic"))
    assert content["numTraining"] == len(listed) == len(list((folder / "imagesTr").iterdir()))
    image, mask = read_volume(listed["c__synthetic"]["images"][0]), read_volume(listed["c__synthetic"]["label"])
    np.testing.assert_array_equal(image.array, read_volume(planned / "artifacts/synthetic/c.nii.gz").array)
    np.testing.assert_array_equal(mask.array, read_volume(planned / "artifacts/volumes/c/mask.nii.gz").array)


def test_a_crop_to_one_breast_keeps_its_position(cohort, stage, set_params):
    """The tumours of the toy cohort are at column 16 of 32, in bodies that fill the volume: in the left half."""
    set_params(cohort, train_crop="breast", train=["pre"])
    stage(cohort, "plan_and_preprocess")
    folder = cohort / "artifacts/nnunet/nnUNet_raw/Dataset200_pre2post"
    whole = read_volume(cohort / "artifacts/volumes/b/pre.nii")
    for name, original in (("imagesTr/b__pre_0000", "pre.nii"), ("labelsTr/b__pre", "mask.nii.gz")):
        cut = read_volume(folder / f"{name}.nii.gz")
        kept = read_volume(cohort / f"artifacts/volumes/b/{original}").array[..., 16:]
        np.testing.assert_array_equal(cut.array, kept)
        np.testing.assert_allclose(cut.origin, (whole.origin[0] + 16 * whole.spacing[0], *whole.origin[1:]))
        assert cut.spacing == whole.spacing
