"""The file that the trainings of a mix depend on: it changes if, and only if, their result can change."""

import hashlib
import json

import numpy as np
import pytest

from pre2post.core.errors import InputError
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.segmentation.mix_file import read_mix

pytestmark = pytest.mark.slow


def planned_files(root):
    return {file.stem: file.read_bytes() for file in (root / "artifacts/nnunet/mixes").iterdir()}


def changed(root, stage, before):
    stage(root, "plan_and_preprocess")
    after = planned_files(root)
    return {name for name in after if after[name] != before.get(name)}


def test_it_holds_the_folds_and_the_content_of_every_file(planned):
    folder = planned / "artifacts/nnunet"
    content = json.loads((folder / "mixes/pre_synthetic.json").read_text())
    assert content["folds"][0] == {
        "train": ["b__pre", "b__synthetic", "d__pre", "d__synthetic"],
        "val": ["a__pre", "c__pre"],
    }
    home = folder / "nnUNet_preprocessed/Dataset200_pre2post"
    assert len(content["sha256"]) == 1 + 8 * 3 and "smallPlans.json" in content["sha256"]
    for name, digest in content["sha256"].items():
        assert hashlib.sha256((home / name).read_bytes()).hexdigest() == digest


def test_only_a_change_of_its_own_data_changes_the_file_of_a_mix(cohort, stage, set_params):
    stage(cohort, "plan_and_preprocess")
    before = planned_files(cohort)
    assert set(before) == {"pre", "pre_synthetic"}

    file = cohort / "artifacts/synthetic/c.nii.gz"
    volume = read_volume(file)
    write_volume(volume.like(volume.array + np.arange(32, dtype=np.float32)), file)
    assert changed(cohort, stage, before) == {"pre_synthetic"}  # a new generator

    before, trained = planned_files(cohort), ["pre", "pre_synthetic", "post"]
    set_params(cohort, train=trained)
    assert changed(cohort, stage, before) == {"post"}  # another mix, with a new phase

    before = planned_files(cohort)
    set_params(
        cohort,
        train=trained,
        mixes={"pre": {"pre": 1.0}, "post": {"post1": 1.0}, "pre_synthetic": {"pre": 1.0, "synthetic": 0.5}},
    )
    assert changed(cohort, stage, before) == {"pre_synthetic"}  # another fraction

    before = planned_files(cohort)
    set_params(cohort, train=trained, train_crop="breast")
    assert changed(cohort, stage, before) == set(trained)


def test_a_mix_that_was_not_planned_is_refused(planned):
    with pytest.raises(InputError, match=r"no training was planned.*found: post.*dvc repro plan_and_preprocess"):
        read_mix(planned / "artifacts/nnunet", "post")
