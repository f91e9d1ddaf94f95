"""A toy cohort of 8 patients with the paths of the stages, planned, trained and evaluated once for all tests here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from repository import ROOT

from pre2post.cohort.case import Case, write_cases
from pre2post.image.intensity import IntensityScale
from pre2post.image.volume import Volume
from pre2post.io.volume_file import write_volume
from pre2post.splits.splits import Splits, write_splits

SHAPE = (16, 32, 32)
SPLITS = Splits([], ["a", "b", "c", "d"], ["e", "f"], ["g", "h"], [["a", "c"], ["b", "d"]])
SMALL = {
    "patch_size": [8, 16, 16],
    "momentum": 0.9,
    "features_per_stage": [4, 8, 8],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
    "n_conv_per_stage": [1, 1, 1],
    "n_conv_per_stage_decoder": [1, 1],
}
STUDY = {
    "train": ["pre", "pre_synthetic"],
    "test_phases": ["pre", "post1"],
    "folds": [0, 1],
    "epochs": 2,
    "num_iterations_per_epoch": 1,
    "warmup_epochs": 0,
    "validate_every_epochs": 2,
    "min_validation_dice": 0,
    "resume_every_seconds": 3600,
    "threads": 1,
}


def write_cohort(root: Path) -> list[Case]:
    """Write volumes with a bright ball as tumour, in two spacings; the synthetic volume is a scaled copy of pre."""
    cases = []
    for number, name in enumerate("abcdefgh"):
        random = np.random.default_rng([1, number])
        spacing = (2.5, 2.5, 5.0) if name < "g" else (2.0, 2.0, 5.0)
        away = np.indices(SHAPE) - np.array([8, 10 + number, 16])[:, None, None, None]
        tumour = (away**2).sum(0) < 16
        pre = (random.normal(100, 10, SHAPE) + 60 * tumour).astype(np.float32)
        volume, folder = Volume(pre, spacing, (-40.0, -30.0, 7.0)), root / "artifacts/volumes" / name
        write_volume(volume, folder / "pre.nii")
        write_volume(volume.like(pre + 100 * tumour), folder / "post1.nii")
        write_volume(volume.like(tumour.astype(np.uint8)), folder / "mask.nii.gz")
        write_volume(volume.like(1.5 * pre), root / "artifacts/synthetic" / f"{name}.nii.gz")
        cases.append(Case(name, "B" if name > "f" else "A", ("pre", "post1"), True, IntensityScale(0.0, 300.0), folder))
    write_cases(root / "artifacts/volumes", cases)
    write_splits(root / "splits.json", SPLITS)
    return cases


def write_params(root: Path, **changes) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["split"]["folds"] = 2
    params["segmentation"] |= STUDY | changes
    params["statistics"] |= {"n_resamples": 100, "min_patients": 2}
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def run(root: Path, stage: str, *arguments: str) -> None:
    """Run the main function of a stage in the folder `root`, like `python src/<stage>.py`."""
    import importlib

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("DVC_ROOT", raising=False)
        patch.syspath_prepend(str(ROOT / "src"))
        patch.setattr(sys, "argv", [stage, *arguments])
        patch.setattr("pre2post.segmentation.planning.SMALL_PLAN", root / "small_plan.json")
        importlib.import_module(stage).main()


def make_root(root: Path) -> Path:
    write_cohort(root)
    write_params(root)
    (root / "small_plan.json").write_text(json.dumps(SMALL))
    return root


@pytest.fixture
def cohort(tmp_path) -> Path:
    """Return a new cohort before the first stage, for tests that change it."""
    return make_root(tmp_path)


@pytest.fixture(scope="session")
def planned(tmp_path_factory) -> Path:
    root = make_root(tmp_path_factory.mktemp("study"))
    run(root, "plan_and_preprocess")
    return root


@pytest.fixture(scope="session")
def evaluated(planned) -> Path:
    for mix in STUDY["train"]:
        for fold in STUDY["folds"]:
            run(planned, "train_segmentation", "--mix", mix, "--fold", str(fold))
    run(planned, "evaluate_segmentation")
    return planned


@pytest.fixture(scope="session")
def stage():
    """Return run(root, stage, *arguments)."""
    return run


@pytest.fixture(scope="session")
def set_params():
    """Return write_params(root, **changes of the section segmentation)."""
    return write_params
