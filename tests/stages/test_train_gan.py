"""The training stage: errors before the training, folders of trainings that share a state, and its checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from repository import ROOT

import train_gan
from pre2post.core.files import read_table, write_table
from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.checkpoint import read_trained_on


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Create a folder with tiny slices; return a function that writes params.yaml with changes of the gan section."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    slices = tmp_path / "artifacts" / "slices"
    slices.mkdir(parents=True)
    for phase, dtype in (("pre", np.float32), ("post", np.float32), ("lesion", np.uint8)):
        np.save(slices / f"train_{phase}.npy", np.zeros((2, 32, 32), dtype))
    write_table(slices / "index_train.csv", [{"case": case, "z": 0, "patient_digest": 16 * case} for case in "ab"])

    def write(**gan):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["gan"] |= {"downs": 2, "width": 4, **gan}
        Path("params.yaml").write_text(yaml.safe_dump(content))
        return load_params()

    return write


@pytest.mark.parametrize(
    ("gan", "texts"),
    [
        ({"downs": 5}, ("the slice size does not fit the generator", "slices.size 32", "at least 64")),
        ({"vgg_weights": "absent.pth", "vgg_sha256": "0" * 8}, ("absent.pth",)),
        ({"global_epochs": 2}, ("belong to generator: local",)),
        ({"generator": "local", "global_epochs": 200, "fix_global_epochs": 2}, ("epochs must exceed",)),
        ({"lambda_l1": 0.0, "lambda_enhancement": 0.0, "lesion_weight": 1.0}, ("which are both 0",)),
        ({"lambda_gan": 0.0, "lambda_enhancement": 0.0, "lesion_weight": 0.0}, ("all losses are off",)),
        ({"enhancement_span": [0.3, 0.1]}, ("two rising numbers",)),
        ({"slices_per_case": 0, "lesion_slices": 0.5}, ("lesion_slices is a fraction",)),
        ({"enhancement_span": [0.3]}, ("gan.enhancement_span",)),
        ({"vgg_weights": "some.pth"}, ("vgg_sha256",)),
        ({"channels": 0}, ("gan.channels",)),
        ({"channels": 2, "vgg_weights": "some.pth", "vgg_sha256": "0" * 8}, ("VGG19 takes 1 or 3",)),
        ({"precision": "float16"}, ("gan.precision",)),
        ({"devices": 0}, ("gan.devices",)),
    ],
)
def test_invalid_settings_are_refused_before_the_training(gan, texts, stage, refused):
    def run():
        stage(**gan)
        train_gan.main()

    refused(run, *texts)
    assert not list(Path().glob("artifacts/gan/*"))


def test_only_length_and_machine_keep_the_parent_folder(stage):
    def folder(**gan):
        return train_gan.training_folder(stage(**gan), [Path("artifacts/slices/train_pre.npy")])

    usual = folder()
    assert folder() == usual
    assert folder(epochs=99).parent == folder(lr_decay_fraction=0.25).parent == usual.parent
    assert len({usual, folder(epochs=99), folder(lr_decay_fraction=0.25)}) == 3
    assert folder(devices=2) == folder(resume_every_steps=9) == usual
    assert folder(learning_rate=0.5).parent != usual.parent
    assert folder(precision="bfloat16").parent != usual.parent
    np.save("artifacts/slices/train_pre.npy", np.ones((2, 32, 32), np.float32))
    assert folder().parent != usual.parent


def test_slices_without_patients_are_refused(stage, refused):
    stage()
    assert train_gan.read_index(Path("artifacts/slices/index_train.csv")) == (["a", "b"], {16 * "a", 16 * "b"})
    write_table(Path("artifacts/slices/index_train.csv"), [{"case": "a", "z": 0}, {"case": "b", "z": 0}])
    refused(train_gan.main, "index_train.csv", "patient_digest", "extract_slices")


def test_the_checkpoints_list_the_training_patients(stage, monkeypatch):
    stage(epochs=1, batch_size=1, discriminator_width=4, lesion_weight=0.0, threads=1)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    before = torch.get_num_threads()
    train_gan.main()
    torch.set_num_threads(before)
    (checkpoint,) = Path("artifacts/gan").iterdir()
    assert checkpoint.name == "epoch_0001.safetensors"
    assert read_trained_on(checkpoint) == {16 * "a", 16 * "b"}
    (losses,) = read_table(Path("plots/gan_losses.csv"))
    assert losses["epoch"] == "1" and np.isfinite([float(value) for value in losses.values()]).all()
