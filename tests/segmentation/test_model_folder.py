"""A 2D network in nnU-Net's folder layout, as published, segments like nnU-Net itself; none of its files runs code."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from pre2post.segmentation.model_folder import load_trained_folder
from pre2post.segmentation.nnunet import quiet
from pre2post.segmentation.prediction import preprocess_array, segment

KERNELS = {
    "n_stages": 2,
    "features_per_stage": [4, 8],
    "kernel_sizes": [[3, 3]] * 2,
    "strides": [[1, 1], [2, 2]],
    "n_conv_per_stage": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
}
LAYERS = {
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": KERNELS | LAYERS,
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}


@pytest.fixture(autouse=True)
def one_thread():
    """The network here is too small for several threads."""
    with threadpool_limits(1):
        yield


def resampling(kind: str, order: int) -> dict:
    return {
        f"resampling_fn_{kind}": "resample_data_or_seg_to_shape",
        f"resampling_fn_{kind}_kwargs": {
            "is_seg": kind == "seg",
            "order": order,
            "order_z": 0,
            "force_separate_z": None,
        },
    }


def make_plans() -> dict:
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [24, 24],
        "median_image_size_in_voxels": [40.0, 40.0],
        "spacing": [1.25, 1.25],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "architecture": ARCHITECTURE,
        "batch_dice": True,
        **resampling("data", 3),
        **resampling("seg", 1),
        **resampling("probabilities", 1),
    }
    return {
        "dataset_name": "Dataset001_Slices",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner",
        "configurations": {"2d": configuration},
        "foreground_intensity_properties_per_channel": {"0": {"mean": 0.0, "std": 1.0}},
    }


DATASET = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "tumour": 1},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}


def make_network():
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    torch.manual_seed(3)
    network = get_network_from_plans(
        ARCHITECTURE["network_class_name"],
        ARCHITECTURE["arch_kwargs"],
        ARCHITECTURE["_kw_requires_import"],
        1,
        2,
        deep_supervision=False,
    )
    with torch.no_grad():
        network.decoder.seg_layers[-1].weight.normal_()
    return network


def write_trained(folder: Path) -> Path:
    """Write the files of a training of nnU-Net, with random weights, and numbers of NumPy in the log, as it does."""
    plans = make_plans()
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    torch.save(
        {
            "network_weights": make_network().state_dict(),
            "trainer_name": "nnUNetTrainer",
            "init_args": {"plans": plans, "configuration": "2d", "fold": 0, "dataset_json": DATASET},
            "inference_allowed_mirroring_axes": (0, 1),
            "_best_ema": np.float64(0.5),
            "logging": {"train_losses": [np.float32(1), np.float64(1)]},
        },
        folder / "fold_0/checkpoint_final.pth",
    )
    return folder


@pytest.fixture
def trained(tmp_path) -> Path:
    return write_trained(tmp_path / "trained")


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.mgrid[:40, :37]
    noise = np.random.default_rng(0).normal(size=(40, 37))
    return (noise + 3 * ((x - 20) ** 2 + (y - 15) ** 2 < 40)).astype(np.float32)


def test_segments_as_nnunet_does(trained, image, monkeypatch):
    """Compare with nnU-Net's predictor with its own defaults, including mirroring."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    predictor = load_trained_folder(trained)
    data, properties = preprocess_array(image[None], (1.0, 1.0, 1.0), predictor)
    found = segment(predictor, data, properties, 1, bfloat16=False)
    plans = PlansManager(make_plans())
    with quiet():
        theirs = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    network = make_network()
    theirs.manual_initialization(
        network, plans, plans.get_configuration("2d"), [network.state_dict()], DATASET, "nnUNetTrainer", (0, 1)
    )
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # it would take eight
    wanted = theirs.predict_single_npy_array(image[None, None], {"spacing": [1, 1, 1]})
    assert found.shape == (1, 40, 37) and 0 < found.sum() < found.size
    np.testing.assert_array_equal(found, wanted)


def change_plans(folder: Path, change) -> None:
    plans = json.loads((folder / "plans.json").read_text())
    change(plans["configurations"]["2d"]["architecture"])
    (folder / "plans.json").write_text(json.dumps(plans))


@pytest.mark.parametrize(
    "name",
    [
        "subprocess.Popen",
        "torch.nn.functional.relu",
        "torch.nn.modules.module.OrderedDict",
        "dynamic_network_architectures.architectures.unet.np",
        "torch.nn.Missing",
    ],
)
@pytest.mark.parametrize("key", ["network_class_name", "conv_op"])
def test_plans_may_name_networks_and_layers_only(trained, refused, name, key):
    change_plans(trained, lambda found: (found if key in found else found["arch_kwargs"]).update({key: name}))
    refused(lambda: load_trained_folder(trained), "plans.json", "not allowed in a shared file", name)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_a_checkpoint_runs_no_code(trained, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"network_weights": Malicious()}, trained / "fold_0/checkpoint_final.pth")
    refused(lambda: load_trained_folder(trained), "checkpoint_final.pth", "cannot be read")
    assert not (tmp_path / "ran").exists()


def test_missing_and_mismatched_files_are_named(trained, refused):
    refused(lambda: load_trained_folder(trained, "1"), "fold_1/checkpoint_final.pth", "missing")
    file = trained / "fold_0/checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    change_plans(trained, lambda found: found["arch_kwargs"].update(features_per_stage=[4, 6]))
    refused(lambda: load_trained_folder(trained), str(file), "do not fit the network")
    (trained / "dataset.json").write_text(json.dumps(DATASET | {"channel_names": {"0": "pre", "1": "post"}}))
    refused(lambda: load_trained_folder(trained), "dataset.json", "one channel")
    torch.save(checkpoint | {"init_args": {"configuration": "3d_fullres"}}, file)
    refused(lambda: load_trained_folder(trained), "plans.json", "cannot be used")
    torch.save({"network_weights": {}}, file)
    refused(lambda: load_trained_folder(trained), str(file), "not a checkpoint", "init_args")
    file.write_bytes(b"")
    refused(lambda: load_trained_folder(trained), str(file), "cannot be read")
    (trained / "plans.json").unlink()
    refused(lambda: load_trained_folder(trained), "plans.json", "missing")


def test_plans_that_changed_after_the_training_are_reported(tmp_path, capsys):
    folder = write_trained(tmp_path)
    file = folder / "fold_0/checkpoint_final.pth"
    with torch.serialization.safe_globals([]):
        content = torch.load(file, weights_only=False)
    content["init_args"]["plans"] = make_plans()
    torch.save(content, file)
    load_trained_folder(folder)
    assert capsys.readouterr().err == ""
    plans = make_plans()
    plans["configurations"]["2d"]["patch_size"] = [48, 48]
    (folder / "plans.json").write_text(json.dumps(plans))
    load_trained_folder(folder)
    warning = capsys.readouterr().err
    assert "differs from the plans of the training in patch_size; patch_size is [48, 48], and was [24, 24]" in warning
