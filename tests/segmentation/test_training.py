import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from repository import SRC
from tools.update_deps import reached_files

from pre2post.core.errors import InputError
from pre2post.core.files import read_table
from pre2post.pipeline.model_card import read_card
from pre2post.pipeline.params import load_params
from pre2post.segmentation.batches import BatchesAhead, random_states, restore_random_states
from pre2post.segmentation.cpu_network import OnePatchNorm
from pre2post.segmentation.mix_file import read_mix
from pre2post.segmentation.nnunet import has_bfloat16
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
    assert (folder / trained / "fold_0/training_log.txt").read_text().count("validation Dice") == 2
    plans = json.loads((folder / trained / "plans.json").read_text())
    assert plans["configurations"]["3d_fullres"]["patch_size"] == [8, 16, 16]


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


def test_the_plan_decides_momentum_and_patch(trainer):
    assert trainer.optimizer.param_groups[0]["momentum"] == 0.9
    batch = next(trainer.get_dataloaders()[0])
    assert batch["data"].shape == (2, 1, 8, 16, 16)
    assert set(batch["keys"]) <= {"b__pre", "d__pre"}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool


def test_a_step_in_float32_equals_nnunets_up_to_rounding(trainer, pool):
    """Nothing differs but the order of sums: the gradient of a batch is the sum of those of its patches."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    batch = next(trainer.get_dataloaders()[0])
    trainer.bfloat16, trainer.bar, trainer.pool = False, SimpleNamespace(update=lambda: None), pool
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    ours, first = trainer.train_step(batch), {n: v.clone() for n, v in trainer.network.state_dict().items()}
    trainer.network.load_state_dict(start)
    trainer.optimizer.state.clear()
    for module in trainer.network.modules():
        if type(module) is OnePatchNorm:
            module.__class__ = torch.nn.InstanceNorm3d
    theirs = nnUNetTrainer.train_step(trainer, batch)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
    for name, value in trainer.network.state_dict().items():
        moved = (value - start[name]).abs().max()
        assert (first[name] - value).abs().max() <= 1e-4 * moved + 1e-8, name
    assert any(not torch.equal(first[name], value) for name, value in start.items())


def test_the_number_of_threads_does_not_change_a_step(trainer):
    batch = next(trainer.get_dataloaders()[0])
    trainer.bar, found = SimpleNamespace(update=lambda: None), []
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as trainer.pool:
            trainer.network.load_state_dict(start)
            trainer.optimizer.state.clear()
            trainer.train_step(batch)
        found.append({name: value.clone() for name, value in trainer.network.state_dict().items()})
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    assert any(not torch.equal(value, start[name]) for name, value in found[0].items())


def test_batches_made_ahead_are_nnunets(trainer):
    """The thread, and volumes that stay in memory, change no batch; the state before a batch gives that batch again."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    start = random_states()
    restore_random_states(start)
    ahead = BatchesAhead(trainer.get_dataloaders()[0])
    ours, states = [], []
    for _ in range(6):
        states.append(ahead.next_state)
        ours.append(next(ahead))
    ahead.close()
    trainer.dataset_class = nnUNetDatasetBlosc2
    restore_random_states(start)
    loader = trainer.get_dataloaders()[0]
    theirs = [next(loader) for _ in range(6)]
    restore_random_states(states[4])
    theirs.append(next(loader))
    for own, other in zip([*ours, ours[4]], theirs, strict=True):
        assert list(own["keys"]) == list(other["keys"])
        assert torch.equal(own["data"], other["data"])
        assert all(map(torch.equal, own["target"], other["target"]))


def test_the_learning_rate_rises_before_it_falls(planned, monkeypatch):
    from pre2post.segmentation.trainer import WarmUp

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 0.5)

    def constant(epoch):
        optimizer.param_groups[0]["lr"] = 0.5

    schedule, rates = WarmUp(SimpleNamespace(step=constant), optimizer, 3), []
    for epoch in range(6):
        schedule.step(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]


def test_training_validation_and_prediction_use_windows_of_one_size(evaluated, stage, monkeypatch):
    """Instance norm takes its statistics from the window, so a larger one changes what the network computes."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    seen, forward = set(), PlainConvUNet.forward

    def watched(self, x):
        seen.add((self.training, tuple(x.shape[2:])))
        return forward(self, x)

    monkeypatch.setattr(PlainConvUNet, "forward", watched)
    stage(evaluated, "train_segmentation", "--mix", "pre", "--fold", "0")
    assert seen == {(True, (8, 16, 16)), (False, (8, 16, 16))}
    seen.clear()
    stage(evaluated, "evaluate_segmentation")
    assert seen == {(False, (8, 16, 16))}


def test_the_validation_is_the_dice_of_complete_volumes(evaluated):
    """The last row of the history is the Dice of masks that nnU-Net's predictor gives for the held-out volumes."""
    from pre2post.segmentation import prediction
    from pre2post.segmentation.batches import VolumesInMemory

    folder = evaluated / "artifacts/segmenters/pre_0"
    predictor = prediction.make_predictor(prediction.load_segmenter("pre", [folder], "smallPlans"), False)
    volumes, dice = VolumesInMemory(str(evaluated / DATA / "nnUNetPlans_3d_fullres")), []
    for name in ("a__pre", "c__pre"):
        image, mask, _, _ = volumes.load_case(name)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image[:]))
        predicted, true = logits.argmax(0).numpy() == 1, mask[0] == 1
        dice.append(2 * (predicted & true).sum() / (predicted.sum() + true.sum()))
    rows = read_table(evaluated / "plots/segmenters/pre_0.csv")
    assert [row["validation_dice"] == "" for row in rows] == [True, False]
    assert float(rows[-1]["validation_dice"]) == pytest.approx(np.mean(dice), rel=1e-5)


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


@pytest.mark.parametrize("killed_in", ["an epoch", "the last step of an epoch", "a validation"])
def test_a_killed_training_gives_the_bytes_of_an_uninterrupted_one(
    evaluated, stage, set_params, monkeypatch, killed_in
):
    """The state is saved after every step, while the next batch is already being made."""
    from pre2post.segmentation import trainer
    from pre2post.segmentation.trainer import RepeatableTrainer

    set_params(evaluated, num_iterations_per_epoch=3, validate_every_epochs=1, resume_every_seconds=0)
    arguments = ("train_segmentation", "--mix", "pre", "--fold", "0")
    folder, before = evaluated / "artifacts/segmenters/pre_0", files_of(evaluated / "artifacts/segmenters")
    stage(evaluated, *arguments)
    uninterrupted = files_of(folder), (evaluated / "plots/segmenters/pre_0.csv").read_bytes()

    steps, step = [], RepeatableTrainer.train_step
    killed_after = {"an epoch": 2, "the last step of an epoch": 3, "a validation": 3}[killed_in]

    def dying(self, batch):
        if len(steps) == killed_after:
            raise KeyboardInterrupt
        steps.append(1)
        return step(self, batch)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", dying)
        if killed_in == "a validation":
            patch.setattr(trainer, "validation_dice", die)
        with pytest.raises(KeyboardInterrupt):
            stage(evaluated, *arguments)
    assert len(list((evaluated / ".resume/train_segmentation").rglob("state.pt"))) == 1
    steps_taken = []
    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", lambda self, batch: steps_taken.append(1) or step(self, batch))
        stage(evaluated, *arguments)
    assert len(steps_taken) == 6 - killed_after
    assert (files_of(folder), (evaluated / "plots/segmenters/pre_0.csv").read_bytes()) == uninterrupted
    assert not list((evaluated / ".resume/train_segmentation").rglob("*.pt"))
    set_params(evaluated)
    for path, content in before.items():
        (evaluated / "artifacts/segmenters" / path).write_bytes(content)


def test_the_state_is_saved_by_time(evaluated, stage, set_params, monkeypatch):
    from pre2post.segmentation import trainer

    saved, clock = [], iter(range(1000))
    set_params(evaluated, num_iterations_per_epoch=3, resume_every_seconds=2.5)
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # a second per look
    monkeypatch.setattr(trainer, "save_state", lambda folder, trainer, losses: saved.append(len(losses)))
    stage(evaluated, "train_segmentation", "--mix", "pre", "--fold", "0")
    set_params(evaluated)
    assert saved == [3, 3]


def dice_by_seed(monkeypatch, *values):
    """Replace the validation Dice of one training after the other, and return the list of those used."""
    from pre2post.segmentation.trainer import RepeatableTrainer

    used, validate = [], RepeatableTrainer.validate

    def known(self):
        validate(self)
        self.dice = values[self.restarts]
        used.append(self.restarts)

    monkeypatch.setattr(RepeatableTrainer, "validate", known)
    return used


def test_a_training_that_learned_nothing_starts_again_with_another_seed(
    evaluated, tmp_path, stage, set_params, monkeypatch
):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    set_params(root, min_validation_dice=0.1, restarts=2, epochs=1)
    used = dice_by_seed(monkeypatch, 0.0, 0.05, 0.2)
    stage(root, "train_segmentation", "--mix", "pre", "--fold", "0")
    assert used == [0, 1, 2]
    checkpoint = root / "artifacts/segmenters/pre_0" / TRAINED / "fold_0/checkpoint_final.pth"
    card = read_card(checkpoint)
    assert (card.params["restarts"], card.metrics["validation_dice"].value) == (2, 0.2)
    assert [row["restarts"] for row in read_table(root / "plots/segmenters/pre_0.csv")] == ["2"]
    assert (checkpoint.parent / "training_log.txt").read_text().count("validation Dice") == 3
    assert not list((root / ".resume").rglob("*.pt"))


def test_a_training_that_never_learns_is_an_error(evaluated, tmp_path, stage, set_params, monkeypatch):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    set_params(root, min_validation_dice=0.1, restarts=1, epochs=1)
    used = dice_by_seed(monkeypatch, 0.0, 0.0)
    with pytest.raises(InputError, match=r"pre, fold 0, learned nothing.*below 0.1 with 2 seeds.*raise segmentation"):
        stage(root, "train_segmentation", "--mix", "pre", "--fold", "0")
    assert used == [0, 1]
    assert files_of(root / "artifacts/segmenters") == files_of(evaluated / "artifacts/segmenters")


def test_a_training_killed_after_a_restart_resumes_with_the_other_seed(
    evaluated, tmp_path, stage, set_params, monkeypatch
):
    from pre2post.segmentation.trainer import RepeatableTrainer

    root, arguments = tmp_path / "study", ("train_segmentation", "--mix", "pre", "--fold", "0")
    shutil.copytree(evaluated, root)
    set_params(root, min_validation_dice=0.1, restarts=1, num_iterations_per_epoch=2, resume_every_seconds=0)
    used, step = dice_by_seed(monkeypatch, 0.0, 0.5), RepeatableTrainer.train_step
    stage(root, *arguments)
    uninterrupted = files_of(root / "artifacts/segmenters/pre_0")

    def dying(self, batch):
        if self.restarts == 1 and self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(RepeatableTrainer, "train_step", dying)
        with pytest.raises(KeyboardInterrupt):
            stage(root, *arguments)
    used.clear()
    stage(root, *arguments)
    assert set(used) == {1}
    assert files_of(root / "artifacts/segmenters/pre_0") == uninterrupted


def test_a_damaged_state_is_refused(evaluated, stage, set_params, monkeypatch):
    from pre2post.segmentation import training

    folder = evaluated / ".resume/damaged"
    (folder / "0").mkdir(parents=True)
    (folder / "0/state.pt").write_bytes(b"no state")
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
        ("learning_rate", "lrs"),
        ("validation_dice", "mean_fg_dice"),
    ):
        found = [float(row[column] or "nan") for row in rows]
        assert found == pytest.approx(logged[name], rel=1e-5, nan_ok=True)


def test_a_card_is_written_next_to_the_checkpoint(evaluated):
    checkpoint = evaluated / "artifacts/segmenters/pre_0" / TRAINED / "fold_0/checkpoint_final.pth"
    card = read_card(checkpoint)
    assert card.n_patients == len("bd")  # fold 0 holds a and c out
    assert card.metrics["validation_dice"].n == 2
    assert card.params["segmentation"]["epochs"] == 2
    machine = card.made_with["machine"]
    assert (machine["device"], machine["threads"]) == ("cpu", 1)
    assert machine["precision"] == ("bfloat16" if has_bfloat16() else "float32")
    assert machine["instructions"] in ("amx_bf16", "avx512_bf16", "avx512", "avx2", "other")


def test_a_checkpoint_that_does_not_match_its_card_is_refused(evaluated, tmp_path, refused):
    from pre2post.segmentation.prediction import load_segmenter

    folder = shutil.copytree(evaluated / "artifacts/segmenters/pre_0", tmp_path / "pre_0")
    checkpoint = folder / TRAINED / "fold_0/checkpoint_final.pth"
    assert load_segmenter("pre", [folder], "smallPlans")
    checkpoint.write_bytes(checkpoint.read_bytes() + b"1")
    refused(lambda: load_segmenter("pre", [folder], "smallPlans"), "checkpoint_final.pth", "do not match their card")
