import json
import shutil
from pathlib import Path

import pytest
import torch
from repository import SRC
from tools.update_deps import reached_files

from pre2post.core.errors import InputError
from pre2post.core.files import read_table
from pre2post.pipeline.model_card import read_card
from pre2post.pipeline.params import load_params
from pre2post.segmentation.mix_file import read_mix
from pre2post.segmentation.training import CODE

TRAINED = "Dataset200_pre2post/RepeatableTrainer__smallPlans__3d_fullres"
DATA = "artifacts/nnunet/nnUNet_preprocessed/Dataset200_pre2post"


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_fold_does_not(evaluated, stage):
    folder = evaluated / "artifacts/segmenters/pre_synthetic_1"
    before = files_of(folder)
    stage(evaluated, "train_segmentation", "--mix", "pre_synthetic", "--fold", "1")
    assert files_of(folder) == before
    weights = [
        torch.load(
            evaluated
            / f"artifacts/segmenters/pre_synthetic_{fold}"
            / TRAINED
            / f"fold_{fold}"
            / "checkpoint_final.pth",
            weights_only=True,
        )["network_weights"]
        for fold in (0, 1)
    ]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_folder_is_laid_out_as_nnunet_users_expect(evaluated):
    folder = evaluated / "artifacts/segmenters/pre_0/Dataset200_pre2post"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    trained = TRAINED.partition("/")[2]
    assert names == {
        "splits_final.json",
        *(
            f"{trained}/{name}"
            for name in (
                "plans.json",
                "dataset.json",
                "dataset_fingerprint.json",
                "fold_0/checkpoint_final.pth",
                "fold_0/checkpoint_final.card.json",
                "fold_0/training_log.txt",
            )
        ),
    }
    assert json.loads((folder / "splits_final.json").read_text()) == [
        {"train": ["b__pre", "d__pre"], "val": ["a__pre", "c__pre"]},
        {"train": ["a__pre", "c__pre"], "val": ["b__pre", "d__pre"]},
    ]
    assert (folder / trained / "fold_0/training_log.txt").read_text().count("Pseudo dice") == 2
    plans = json.loads((folder / trained / "plans.json").read_text())
    assert plans["configurations"]["3d_fullres"]["patch_size"] == [16, 32, 32]


@pytest.fixture
def trainer(planned, monkeypatch):
    from pre2post.segmentation.nnunet import set_nnunet_folders
    from pre2post.segmentation.training import make_trainer, read_plans

    monkeypatch.chdir(planned)
    params = load_params().segmentation
    folds = read_mix(Path("artifacts/nnunet"), "pre")
    set_nnunet_folders(Path("artifacts/nnunet"), planned / "results", augmenters=0)
    plans = read_plans(Path("artifacts/nnunet"), params, folds)
    return make_trainer(params, "pre", 0, folds[0], *plans, torch.device("cpu"))


def test_the_plan_decides_momentum_and_training_patch(trainer):
    assert trainer.optimizer.param_groups[0]["momentum"] == 0.9
    batch = next(trainer.get_dataloaders()[0])
    assert batch["data"].shape == (2, 1, 8, 16, 16)
    assert set(batch["keys"]) <= {"b__pre", "d__pre"}


def test_a_step_in_float32_equals_nnunets(trainer, monkeypatch):
    from types import SimpleNamespace

    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    batch = next(trainer.get_dataloaders()[0])
    trainer.bfloat16, trainer.bar = False, SimpleNamespace(update=lambda: None)
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    ours, first = trainer.train_step(batch), {n: v.clone() for n, v in trainer.network.state_dict().items()}
    trainer.network.load_state_dict(start)
    trainer.optimizer.state.clear()
    theirs = nnUNetTrainer.train_step(trainer, batch)
    assert ours["loss"] == theirs["loss"]
    assert all(torch.equal(first[name], value) for name, value in trainer.network.state_dict().items())
    assert any(not torch.equal(first[name], value) for name, value in start.items())


def test_a_training_that_diverges_is_reported(planned, stage, set_params):
    set_params(planned, learning_rate=1e30, epochs=3)
    with pytest.raises(InputError, match="diverged"):
        stage(planned, "train_segmentation", "--mix", "pre", "--fold", "0")
    set_params(planned)


def test_no_augmentation_depends_on_the_clock(trainer):
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform

    found = trainer.get_training_transforms((8, 16, 16), (-1.0, 1.0), None, (0, 1, 2), False)
    blurs = [
        step.transform
        for step in found.transforms
        if isinstance(getattr(step, "transform", None), GaussianBlurTransform)
    ]
    assert len(blurs) == 1
    assert not blurs[0].benchmark


def test_a_stopped_training_keeps_the_earlier_one(evaluated, stage, monkeypatch):
    from pre2post.segmentation.trainer import RepeatableTrainer

    def stop(*_):
        raise KeyboardInterrupt

    before = files_of(evaluated / "artifacts/segmenters")
    monkeypatch.setattr(RepeatableTrainer, "train_step", stop)
    with pytest.raises(KeyboardInterrupt):
        stage(evaluated, "train_segmentation", "--mix", "pre", "--fold", "0")
    assert files_of(evaluated / "artifacts/segmenters") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mix", "other", "--fold", "0"), "unknown training mix"),
        (("--mix", "pre", "--fold", "2"), "unknown fold"),
        (("--mix", "post", "--fold", "0"), "no training was planned"),
    ],
)
def test_an_impossible_training_is_refused(planned, stage, arguments, message):
    with pytest.raises(InputError, match=message):
        stage(planned, "train_segmentation", *arguments)


def test_a_missing_file_is_named(planned, stage):
    file = planned / DATA / "nnUNetPlans_3d_fullres/b__pre.pkl"
    kept = file.read_bytes()
    file.unlink()
    with pytest.raises(InputError, match="preprocessed file is missing") as error:
        stage(planned, "train_segmentation", "--mix", "pre", "--fold", "0")
    file.write_bytes(kept)
    assert error.value.case == "b"


@pytest.mark.parametrize("killed_after", [1, 3, 4])
def test_a_killed_training_gives_the_bytes_of_an_uninterrupted_one(
    evaluated, stage, set_params, monkeypatch, killed_after
):
    """Kill it within an epoch, at its end and within its validation; the state is saved every second step."""
    from pre2post.segmentation.trainer import RepeatableTrainer

    set_params(evaluated, num_iterations_per_epoch=3, resume_every_steps=2)
    arguments = ("train_segmentation", "--mix", "pre", "--fold", "0")
    folder, before = evaluated / "artifacts/segmenters/pre_0", files_of(evaluated / "artifacts/segmenters")
    stage(evaluated, *arguments)
    uninterrupted = files_of(folder)

    steps, step = [], RepeatableTrainer.train_step

    def dying(self, batch):
        if len(steps) == killed_after:
            raise KeyboardInterrupt
        steps.append(1)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", dying)
        with pytest.raises(KeyboardInterrupt):
            stage(evaluated, *arguments)
    states = list((evaluated / ".resume/train_segmentation").rglob("state.pt"))
    assert len(states) == (killed_after >= 2)
    steps_taken = []
    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", lambda self, batch: steps_taken.append(1) or step(self, batch))
        stage(evaluated, *arguments)
    assert len(steps_taken) == 6 - killed_after // 2 * 2
    assert files_of(folder) == uninterrupted
    assert not list((evaluated / ".resume/train_segmentation").rglob("*.pt"))
    set_params(evaluated)
    for path, content in before.items():
        (evaluated / "artifacts/segmenters" / path).write_bytes(content)


def test_a_damaged_state_is_refused(evaluated, stage, set_params, monkeypatch):
    from pre2post.segmentation import training

    folder = evaluated / ".resume/damaged"
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(b"no state")
    monkeypatch.setattr(training, "_state_folder", lambda *_: folder)
    with pytest.raises(InputError, match=r"saved training state cannot be used.*delete its folder"):
        stage(evaluated, "train_segmentation", "--mix", "pre", "--fold", "0")


def test_a_training_depends_on_no_code_of_volumes_splits_or_prediction():
    reached = {str(file.relative_to(SRC / "pre2post")) for file in reached_files(SRC / "train_segmentation.py")[:-1]}
    assert {name.partition("/")[0] for name in reached} == {"__init__.py", "core", "pipeline", "segmentation"}
    assert not reached & {f"segmentation/{name}.py" for name in ("design", "folds", "volumes", "breasts", "prediction")}
    assert reached >= {f"segmentation/{name}" for name in CODE}


def test_training_before_planning_is_refused(cohort, stage):
    with pytest.raises(InputError, match="no training was planned"):
        stage(cohort, "train_segmentation", "--mix", "pre", "--fold", "0")


def test_the_history_has_one_row_per_epoch_with_the_values_of_nnunet(evaluated, stage):
    stage(evaluated, "train_segmentation", "--mix", "pre", "--fold", "0")
    rows = read_table(evaluated / "plots/segmenters/pre_0.csv")
    logged = torch.load(
        evaluated / "artifacts/segmenters/pre_0" / TRAINED / "fold_0/checkpoint_final.pth", weights_only=True
    )["logging"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for column, name in (
        ("train_loss", "train_losses"),
        ("validation_loss", "val_losses"),
        ("learning_rate", "lrs"),
        ("pseudo_dice", "mean_fg_dice"),
    ):
        assert [float(row[column]) for row in rows] == pytest.approx(logged[name], rel=1e-5)


def test_a_card_is_written_next_to_the_checkpoint(evaluated):
    checkpoint = evaluated / "artifacts/segmenters/pre_0" / TRAINED / "fold_0/checkpoint_final.pth"
    card = read_card(checkpoint)
    assert card.n_patients == len("bd")  # fold 0 holds a and c out
    assert card.metrics["pseudo_dice"].n == 2
    assert card.params["segmentation"]["epochs"] == 2


def test_a_checkpoint_that_does_not_match_its_card_is_refused(evaluated, tmp_path, refused):
    from pre2post.segmentation.prediction import load_segmenter

    folder = shutil.copytree(evaluated / "artifacts/segmenters/pre_0", tmp_path / "pre_0")
    checkpoint = folder / TRAINED / "fold_0/checkpoint_final.pth"
    assert load_segmenter("pre", [folder], "smallPlans")
    checkpoint.write_bytes(checkpoint.read_bytes() + b"1")
    refused(lambda: load_segmenter("pre", [folder], "smallPlans"), "checkpoint_final.pth", "do not match their card")
