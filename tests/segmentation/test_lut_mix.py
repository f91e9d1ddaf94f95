"""Volumes of a baseline as a training phase: from the plan to what remains for the generator."""

import csv
import json
import shutil

import pytest

from pre2post.core.errors import InputError
from pre2post.io.volume_file import read_volume, write_volume

pytestmark = pytest.mark.slow

TRAIN = ["pre", "pre_synthetic", "pre_lut"]


@pytest.fixture(scope="module")
def compared(evaluated, tmp_path_factory, stage, set_params):
    """Return the study of the other tests with one mix more, trained on look-up volumes."""
    root = tmp_path_factory.mktemp("lut") / "study"
    shutil.copytree(evaluated, root)
    for file in sorted((root / "artifacts/synthetic").glob("?.nii.gz")):
        volume = read_volume(file)
        write_volume(volume.like(0.5 * volume.array + 10), file.with_name(f"{file.name[0]}__lut.nii.gz"))
    set_params(root, train=TRAIN)
    stage(root, "plan_and_preprocess")
    for fold in (0, 1):
        stage(root, "train_segmentation", "--mix", "pre_lut", "--fold", str(fold))
    stage(root, "evaluate_segmentation")
    return root


def test_look_up_volumes_train_and_never_validate(compared):
    mix = json.loads((compared / "artifacts/nnunet/mixes/pre_lut.json").read_text())
    for fold, held_out in zip(mix["folds"], ("ac", "bd"), strict=True):
        train = sorted(set("abcd") - set(held_out))
        assert fold["train"] == sorted(f"{case}__{phase}" for case in train for phase in ("pre", "lut"))
        assert fold["val"] == [f"{case}__pre" for case in held_out]
    assert sorted(mix["patients"]) == list("abcd")
    assert any("a__lut" in file for file in mix["sha256"])


def test_the_other_mixes_are_not_trained_again(compared, evaluated):
    for name in ("pre", "pre_synthetic"):
        file = f"artifacts/nnunet/mixes/{name}.json"
        assert (compared / file).read_bytes() == (evaluated / file).read_bytes()


def test_synthetic_volumes_are_compared_with_look_up_volumes(compared):
    with open(compared / "plots/segmentation_gains.csv", newline="") as file:
        gains = [row for row in csv.DictReader(file) if row["metric"] == "dice"]
    pairs = list(dict.fromkeys((row["mix"], row["baseline"], row["kind"]) for row in gains))
    assert pairs == [
        ("pre_synthetic", "pre", "baseline"),
        ("pre_lut", "pre", "baseline"),
        ("pre_synthetic", "pre_lut", "rival"),
    ]
    short = json.loads((compared / "metrics/segmentation.json").read_text())
    cell = short["rivals"]["pre_synthetic"]["pre_lut"]["test_post1"]
    difference = short["pre_synthetic"]["test_post1"]["dice"] - short["pre_lut"]["test_post1"]["dice"]
    assert cell["dice"] == pytest.approx(difference, abs=1e-5) and cell["n"] == 2


def test_a_missing_look_up_volume_is_named(compared, tmp_path, stage):
    root = tmp_path / "study"
    shutil.copytree(compared, root)
    (root / "artifacts/synthetic/b__lut.nii.gz").unlink()
    with pytest.raises(InputError, match=r"case b.*b__lut\.nii\.gz.*missing.*dvc repro synthesize"):
        stage(root, "plan_and_preprocess")
