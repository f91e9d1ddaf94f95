import json
import shutil
from pathlib import Path

import pytest
import torch

from pre2post.cohort.patients import digest
from pre2post.core.errors import InputError
from pre2post.core.files import read_table
from pre2post.pipeline.model_card import read_card
from pre2post.pipeline.params import load_params
from pre2post.segmentation.mix_file import read_mix

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
    from pre2post.segmentation.nnunet import use_folders
    from pre2post.segmentation.training import make_trainer, read_plans

    monkeypatch.chdir(planned)
    params = load_params().segmentation
    folds = read_mix(Path("artifacts/nnunet"), "pre")
    use_folders(Path("artifacts/nnunet"), planned / "results", augmenters=0)
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


def test_a_training_that_diverges_says_so(planned, stage, set_params):
    set_params(planned, learning_rate=1e30, epochs=3)
    with pytest.raises(InputError, match="diverged"):
        stage(planned, "train_segmentation", "--mix", "pre", "--fold", "0")
    set_params(planned)


def test_no_augmentation_races_against_the_clock(trainer):
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
    ("arguments", "said"),
    [
        (("--mix", "other", "--fold", "0"), "no such training mix"),
        (("--mix", "pre", "--fold", "2"), "no such fold"),
        (("--mix", "post", "--fold", "0"), "not planned for"),
    ],
)
def test_what_cannot_be_trained_is_refused(planned, stage, arguments, said):
    with pytest.raises(InputError, match=said):
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
def test_a_killed_training_ends_with_the_bytes_of_an_unbroken_one(
    evaluated, stage, set_params, monkeypatch, killed_after
):
    """Killed within an epoch, at its end and within its validation; states are saved every other step."""
    from pre2post.segmentation.trainer import RepeatableTrainer

    set_params(evaluated, num_iterations_per_epoch=3, resume_every_steps=2)
    arguments = ("train_segmentation", "--mix", "pre", "--fold", "0")
    folder, before = evaluated / "artifacts/segmenters/pre_0", files_of(evaluated / "artifacts/segmenters")
    stage(evaluated, *arguments)
    whole = files_of(folder)

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
    taken = []
    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", lambda self, batch: taken.append(1) or step(self, batch))
        stage(evaluated, *arguments)
    assert len(taken) == 6 - killed_after // 2 * 2
    assert files_of(folder) == whole
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


def test_training_before_planning_says_so(cohort, stage):
    with pytest.raises(InputError, match="not planned for"):
        stage(cohort, "train_segmentation", "--mix", "pre", "--fold", "0")


def test_the_history_is_a_row_an_epoch_with_what_nnunet_logged(evaluated, stage):
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


def test_a_card_lies_beside_the_checkpoint(evaluated):
    checkpoint = evaluated / "artifacts/segmenters/pre_0" / TRAINED / "fold_0/checkpoint_final.pth"
    card = read_card(checkpoint)
    assert card.patients == sorted(map(digest, "bd"))  # fold 0 holds a and c out
    assert card.metrics["pseudo_dice"].n == 2
    assert card.params["segmentation"]["epochs"] == 2


def test_a_checkpoint_that_is_not_its_cards_is_refused(evaluated, tmp_path, refused):
    from pre2post.segmentation.prediction import load_segmenter

    folder = shutil.copytree(evaluated / "artifacts/segmenters/pre_0", tmp_path / "pre_0")
    checkpoint = folder / TRAINED / "fold_0/checkpoint_final.pth"
    assert load_segmenter("pre", [folder], "smallPlans")
    checkpoint.write_bytes(checkpoint.read_bytes() + b"1")
    refused(lambda: load_segmenter("pre", [folder], "smallPlans"), "checkpoint_final.pth", "not those of their card")
