"""The stage that validates SAMe: which fold segments which patient, and what happens without an evaluator."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pre2post.core.errors import InputError
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import dice
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import load_generator, save_generator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.segmentation.prediction import load_segmenter, make_predictor, preprocess_array, segment
from pre2post.synthesis.volumes import synthetic_volumes

pytestmark = pytest.mark.slow

EPOCHS = ("2", "4", "10")
OUTPUTS = ("plots/same_dice.csv", "plots/same_dice_cases.csv", "plots/same_correlations.csv", "metrics/same_dice.json")
SIZE = 32
PLAN = Architecture(width=2, downs=1, blocks=0, residual=True)


def write_checkpoints(root: Path) -> None:
    """Write untrained networks, each with its own seed, and a table of SAMe in which the last one is best."""
    for place, epoch in enumerate(EPOCHS):
        torch.manual_seed(place)
        save_generator(make_generator(PLAN), root / f"artifacts/gan/epoch_{int(epoch):04d}.safetensors")
    lines = ["epoch,same,selection_frequency,lesion_mae,scaled_ssim"]
    lines += [f"{epoch},{1 - place / 2},0,{place},{place}" for place, epoch in enumerate(EPOCHS)]
    (root / "plots").mkdir(exist_ok=True)
    (root / "plots/same.csv").write_text("\n".join(lines) + "\n")


def set_size(root: Path) -> None:
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["slices"]["size"] = SIZE
    (root / "params.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def validated(evaluated, tmp_path_factory, stage, set_params) -> Path:
    root = tmp_path_factory.mktemp("validated") / "study"
    shutil.copytree(evaluated, root)
    set_params(root, evaluator="pre")
    set_size(root)
    write_checkpoints(root)
    threads = torch.get_num_threads()
    stage(root, "validate_same")
    torch.set_num_threads(threads)
    return root


@pytest.fixture
def copy(validated, tmp_path) -> Path:
    """Return a copy without the outputs, for tests that change it."""
    root = tmp_path / "study"
    shutil.copytree(validated, root)
    for name in OUTPUTS:
        (root / name).unlink()
    threads = torch.get_num_threads()
    yield root
    torch.set_num_threads(threads)


def table(root: Path, name: str) -> list[dict]:
    with open(root / f"plots/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def expected_dice(root: Path, case: str, epoch: str, fold: int) -> float:
    """Return the Dice of a patient's volume from this checkpoint, segmented by this fold, step by step."""
    from pre2post.cohort.case import read_cases

    found = next(known for known in read_cases(root / "artifacts/volumes") if known.id == case)
    generator = load_generator(root / f"artifacts/gan/epoch_{int(epoch):04d}.safetensors")
    pre = read_volume(found.path("pre"))
    (synthetic,) = synthetic_volumes(pre, found.scale, SIZE, lambda slices: infer(generator, slices))
    predictor = make_predictor(load_segmenter("pre", [root / f"artifacts/segmenters/pre_{fold}"], "smallPlans"), False)
    predicted = segment(predictor, *preprocess_array(synthetic.array, synthetic.spacing[::-1], predictor), threads=1)
    return dice(predicted, read_volume(found.path("mask"), np.uint8).array)


def test_every_patient_is_segmented_by_the_fold_that_held_them_out(validated):
    rows = table(validated, "same_dice_cases")
    assert [(row["epoch"], row["case"]) for row in rows] == [(epoch, case) for epoch in EPOCHS for case in "acbd"]
    distinct = 0
    for row in rows:
        own = 0 if row["case"] in "ac" else 1
        right, wrong = (expected_dice(validated, row["case"], row["epoch"], fold) for fold in (own, 1 - own))
        assert float(row["dice"]) == pytest.approx(right, abs=1e-5)
        distinct += abs(right - wrong) > 1e-3
    assert distinct >= len(rows) / 3, "the folds must differ, or the test says nothing"


def test_the_tables_summarise_the_cases(validated):
    cases, found = table(validated, "same_dice_cases"), json.loads((validated / "metrics/same_dice.json").read_text())
    rows = table(validated, "same_dice")
    for row in rows:
        assert float(row["dice"]) == pytest.approx(
            np.mean([float(one["dice"]) for one in cases if one["epoch"] == row["epoch"]]), abs=1e-5
        )
        assert row["n"] == "4"
    assert [row["same"] for row in rows] == ["1.0", "0.5", "0.0"]
    assert [row["metric"] for row in table(validated, "same_correlations")] == [
        "same",
        "scaled_ssim",
        "lesion_mae",
        "epoch",
    ]
    best = max(rows, key=lambda row: float(row["dice"]))
    assert found["epoch"] == {"same": 10, "dice": int(best["epoch"])}
    assert found["regret"] == pytest.approx(float(best["dice"]) - float(rows[2]["dice"]), abs=1e-5)
    assert (found["evaluator"], found["checkpoints"], found["patients"]) == ("pre", 3, 4)


def test_another_number_of_threads_gives_the_same_bytes(validated, copy, stage, set_params):
    set_params(copy, evaluator="pre", threads=2)
    set_size(copy)
    stage(copy, "validate_same")
    assert all((validated / name).read_bytes() == (copy / name).read_bytes() for name in OUTPUTS)


def test_patients_outside_the_trained_folds_are_left_out(copy, stage, set_params):
    set_params(copy, evaluator="pre", folds=[1])
    set_size(copy)
    shutil.rmtree(copy / "artifacts/segmenters/pre_0")
    stage(copy, "validate_same")
    assert {row["case"] for row in table(copy, "same_dice_cases")} == {"b", "d"}


def test_a_checkpoint_that_same_could_not_compare_is_left_out(copy, stage):
    with open(copy / "plots/same.csv", "a") as file:
        file.write("12,,0,,\n")
    stage(copy, "validate_same")
    assert [row["epoch"] for row in table(copy, "same_dice")] == list(EPOCHS)


def test_without_a_trained_evaluator_the_tables_are_empty_and_a_note_says_why(copy, stage, set_params, capsys):
    set_params(copy, evaluator="post")
    stage(copy, "validate_same")
    assert "segmentation.evaluator is post, which is not trained" in capsys.readouterr().out
    assert all(table(copy, Path(name).stem) == [] for name in OUTPUTS[:3])
    assert list(json.loads((copy / OUTPUTS[3]).read_text())) == ["note", "provenance"]


def test_a_segmenter_trained_on_a_patient_is_refused(copy, stage):
    splits = json.loads((copy / "splits.json").read_text())
    splits["folds"] = [["a", "b"], ["c", "d"]]
    (copy / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(InputError, match=r"pre_0.*folds have changed"):
        stage(copy, "validate_same")
    assert not any((copy / name).exists() for name in OUTPUTS)


def test_a_missing_checkpoint_is_named(copy, stage):
    (copy / "artifacts/gan/epoch_0004.safetensors").unlink()
    with pytest.raises(InputError, match=r"epoch_0004\.safetensors.*missing"):
        stage(copy, "validate_same")


def test_a_checkpoint_that_gives_no_numbers_is_named_with_the_case(copy, stage):
    generator = make_generator(PLAN)
    next(generator.parameters()).data.fill_(np.nan)
    save_generator(generator, copy / "artifacts/gan/epoch_0004.safetensors")
    with pytest.raises(InputError, match=r"case [ab], file .*epoch_0004\.safetensors.*not finite"):
        stage(copy, "validate_same")
