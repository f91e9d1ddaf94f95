import json
import pickle

import blosc2
import numpy as np
import pytest

from pre2post.segmentation.planning import SMALL_PLAN, small_plans

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(planned):
    return planned / "artifacts/nnunet/nnUNet_preprocessed/Dataset200_pre2post"


def test_preprocessing_equals_nnunets_single_case(planned, folder):
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    raw = planned / "artifacts/nnunet/nnUNet_raw/Dataset200_pre2post"
    dataset = json.loads((folder / "dataset.json").read_text())
    plans = PlansManager(str(folder / "nnUNetPlans.json"))
    names = sorted(dataset["dataset"])
    assert len(names) == 8
    for name in names:
        data, labels, properties = DefaultPreprocessor(verbose=False).run_case(
            [str(raw / f"imagesTr/{name}_0000.nii.gz")],
            str(raw / f"labelsTr/{name}.nii.gz"),
            plans,
            plans.get_configuration("3d_fullres"),
            dataset,
        )
        kept = folder / "nnUNetPlans_3d_fullres" / name
        np.testing.assert_array_equal(blosc2.open(f"{kept}.b2nd")[:], data)
        np.testing.assert_array_equal(blosc2.open(f"{kept}_seg.b2nd")[:], labels)
        np.testing.assert_array_equal(
            pickle.loads((kept.parent / f"{name}.pkl").read_bytes())["class_locations"][1],
            properties["class_locations"][1],
        )


def test_the_fingerprint_is_of_every_pre_contrast_volume(folder):
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    found = json.loads((folder / "dataset_fingerprint.json").read_text())
    assert found["spacings"] == [[5.0, 2.5, 2.5]] * 4
    raw = folder.parents[1] / "nnUNet_raw/Dataset200_pre2post"
    intensities = [
        DatasetFingerprintExtractor.analyze_case(
            [str(raw / f"imagesTr/{name}_0000.nii.gz")],
            str(raw / f"labelsTr/{name}.nii.gz"),
            SimpleITKIO,
            int(10e7 // 4),
        )[2][0]
        for name in ("a__pre", "b__pre", "c__pre", "d__pre")
    ]
    statistics = found["foreground_intensity_properties_per_channel"]["0"]
    assert statistics["mean"] == float(np.mean(np.concatenate(intensities)))


def test_planning_twice_gives_the_same_bytes(planned, cohort, stage):
    stage(cohort, "plan_and_preprocess")
    files = sorted(path.relative_to(planned) for path in (planned / "artifacts/nnunet").rglob("*") if path.is_file())
    assert len(files) > 40
    for file in files:
        assert (planned / file).read_bytes() == (cohort / file).read_bytes(), file


def test_the_small_plan_changes_the_network_and_no_data(folder):
    own, small = (json.loads((folder / f"{name}.json").read_text()) for name in ("nnUNetPlans", "smallPlans"))
    before, after = own["configurations"]["3d_fullres"], small["configurations"]["3d_fullres"]
    same = {name for name in before if after[name] == before[name]}
    assert same >= set(before) - {"patch_size", "architecture"}
    assert set(after) - set(before) == {"momentum"}
    assert after["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 8, 8]
    assert after["architecture"]["arch_kwargs"]["norm_op"] == before["architecture"]["arch_kwargs"]["norm_op"]
    assert small["plans_name"] == "smallPlans"


def plans_for(median):
    own = {"median_image_size_in_voxels": median, "architecture": {"arch_kwargs": {}}}
    return {"configurations": {"3d_fullres": own}}


@pytest.mark.parametrize(
    ("median", "patch"),
    [
        ([24, 128, 128], [24, 64, 64]),
        ([24.0, 128.0, 55.0], [24, 64, 56]),
        ([10, 40, 300], [12, 40, 64]),
    ],
)
def test_patches_fit_the_volumes(median, patch):
    plan = small_plans(plans_for(median), json.loads(SMALL_PLAN.read_text()))["configurations"]["3d_fullres"]
    assert plan["patch_size"] == patch


def test_the_shipped_small_plan_is_consistent():
    small = json.loads(SMALL_PLAN.read_text())
    network = small_plans(plans_for([24, 128, 128]), small)["configurations"]["3d_fullres"]["architecture"][
        "arch_kwargs"
    ]
    stages = network["n_stages"]
    assert stages >= 3  # with fewer, the weights of nnU-Net's deep supervision are 0 / 0
    for name in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        assert len(network[name]) == stages
    assert len(network["n_conv_per_stage_decoder"]) == stages - 1
    multiple = np.prod(network["strides"], axis=0)
    assert not np.any(np.array(small["patch_size"]) % multiple)


def test_training_without_the_users_environment(planned, monkeypatch):
    from pre2post.segmentation.nnunet import set_nnunet_folders

    monkeypatch.setenv("nnUNet_preprocessed", "/somewhere/else")
    set_nnunet_folders(planned / "artifacts/nnunet", planned / "results")
    from nnunetv2.paths import nnUNet_preprocessed

    assert str(nnUNet_preprocessed) == str(planned / "artifacts/nnunet/nnUNet_preprocessed")
