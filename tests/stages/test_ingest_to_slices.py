"""The stages ingest, split and extract_slices on a small phantom cohort, from DICOM to arrays on disk."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from params_file import change_params
from repository import ROOT

from pre2post.cohort.case import read_cases
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.files import read_json, read_table, write_json
from pre2post.io.volume_file import read_volume
from pre2post.splits.splits import read_splits

pytestmark = pytest.mark.slow

SIZE = 32


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A working directory in which ingest, split and extract_slices ran on ten phantom patients."""
    from pre2post.phantom.cohort import write_cohort

    path = tmp_path_factory.mktemp("stages")
    write_cohort(path / "data", cases=10, seed=1, matrix=SIZE, slices=8, workers=1)
    changes = {"split.folds": 2, "slices.size": SIZE, "segmentation.folds": [0, 1]}
    change_params(path / "params.yaml", changes, source=ROOT / "params.yaml")
    for stage in ("ingest.py", "split.py", "extract_slices.py"):
        run(path, stage)
    return path


def run(path: Path, stage: str, code: int = 0) -> str:
    done = subprocess.run([sys.executable, ROOT / "src" / stage], cwd=path, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_the_split_follows_site_and_mask(place):
    cases, splits = read_cases(place / "artifacts/volumes"), read_splits(place / "splits.json")
    assert len(cases) == 10 and len(splits.folds) == 2
    assert splits.gan_train == [case.id for case in cases if not case.has_mask and case.site == "A"]
    assert splits.external == [case.id for case in cases if case.has_mask and case.site == "B"]


@pytest.mark.parametrize("name", ["train", "validation"])
def test_slices_equal_the_normalised_volumes(place, name):
    cases = {case.id: case for case in read_cases(place / "artifacts/volumes")}
    splits = read_splits(place / "splits.json")
    rows = read_table(place / f"artifacts/slices/index_{name}.csv")
    assert {row["case"] for row in rows} == set(splits.gan_train if name == "train" else splits.validation)
    assert all(row["patient_digest"] == digest(patient_of(cases[row["case"]])) for row in rows)
    for kind, role in (("pre", "pre"), ("post", "post1")):
        slices = np.load(place / f"artifacts/slices/{name}_{kind}.npy", mmap_mode="r")
        assert slices.shape == (len(rows), SIZE, SIZE) and slices.dtype == np.float32
        for row, plane in zip(rows[::5], slices[::5], strict=True):
            case = cases[row["case"]]
            expected = read_volume(case.path(role)).array[int(row["z"])]
            np.testing.assert_array_equal(plane, case.scale.normalise(expected))
        assert 0 < slices[:].mean() < 1


def lesions(place, name):
    """Return the index and the lesion slices of "train" or "validation"."""
    slices = np.load(place / f"artifacts/slices/{name}_lesion.npy", mmap_mode="r")
    rows = read_table(place / f"artifacts/slices/index_{name}.csv")
    assert slices.shape == (len(rows), SIZE, SIZE) and slices.dtype == np.uint8 and set(np.unique(slices)) == {0, 1}
    return rows, slices


def test_lesions_are_masks_or_filled_boxes(place):
    cases = {case.id: case for case in read_cases(place / "artifacts/volumes")}
    for row, plane in zip(*lesions(place, "validation"), strict=True):
        np.testing.assert_array_equal(plane, read_volume(cases[row["case"]].path("mask")).array[int(row["z"])])
    for row, plane in zip(*lesions(place, "train"), strict=True):
        z0, z1, y0, y1, x0, x1 = cases[row["case"]].box
        inside = (y1 - y0) * (x1 - x0) if z0 <= int(row["z"]) < z1 else 0
        assert plane.sum() == inside == plane[y0:y1, x0:x1].sum() * (inside > 0)


def test_lesion_slices_are_empty_without_mask_and_box(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    cases = tmp_path / "place/artifacts/volumes/cases.json"
    first = read_splits(place / "splits.json").gan_train[0]
    write_json(cases, [case | {"box": None} if case["id"] == first else case for case in read_json(cases)])
    run(tmp_path / "place", "extract_slices.py")
    rows, slices = lesions(tmp_path / "place", "train")
    with_lesion = {row["case"] for row, plane in zip(rows, slices, strict=True) if plane.any()}
    assert with_lesion == set(read_splits(place / "splits.json").gan_train) - {first}


def test_a_split_with_unknown_cases_is_refused(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    text = (tmp_path / "place/splits.json").read_text()
    first = read_splits(place / "splits.json").gan_train[0]
    (tmp_path / "place/splits.json").write_text(text.replace(first, "Breast_MRI_999"))
    before = sorted(path.name for path in (tmp_path / "place/artifacts/slices").iterdir())
    message = run(tmp_path / "place", "extract_slices.py", code=1)
    assert "Breast_MRI_999" in message and "Traceback" not in message
    assert sorted(path.name for path in (tmp_path / "place/artifacts/slices").iterdir()) == before


def test_slices_without_tissue_are_refused(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    change_params(tmp_path / "place/params.yaml", {"slices.min_foreground": 1.0})
    message = run(tmp_path / "place", "extract_slices.py", code=1).splitlines()[-1]
    assert "no train slice contains enough tissue" in message and "lower slices.min_foreground" in message


def test_several_phases_are_channels_of_one_array(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    set_phases(tmp_path / "place", ["post2", "post1"])
    run(tmp_path / "place", "extract_slices.py")
    joint = np.load(tmp_path / "place/artifacts/slices/train_post.npy")
    single = np.load(place / "artifacts/slices/train_post.npy")
    assert joint.shape == (len(single), 2, SIZE, SIZE)
    np.testing.assert_array_equal(joint[:, 1], single)
    assert not np.array_equal(joint[:, 0], single)


def test_neighbours_are_the_adjacent_planes_of_the_volume_and_its_edges_are_repeated(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    change_params(tmp_path / "place/params.yaml", {"slices.neighbours": 1, "slices.min_foreground": 0.0})
    run(tmp_path / "place", "extract_slices.py")
    stacks = np.load(tmp_path / "place/artifacts/slices/train_pre.npy")
    rows = read_table(tmp_path / "place/artifacts/slices/index_train.csv")
    volume = stacks[[row["case"] == rows[0]["case"] for row in rows], 0]
    assert stacks.shape == (len(rows), 3, SIZE, SIZE)
    np.testing.assert_array_equal(stacks[: len(volume), 1], volume[[0, *range(len(volume) - 1)]])
    np.testing.assert_array_equal(stacks[: len(volume), 2], volume[[*range(1, len(volume)), -1]])


def test_a_case_without_one_of_the_phases_is_named(place, tmp_path):
    shutil.copytree(place, tmp_path / "place")
    set_phases(tmp_path / "place", ["post1", "post2", "post3"])
    message = run(tmp_path / "place", "extract_slices.py", code=1)
    assert "the case has no post3" in message and "error: case" in message


def set_phases(place: Path, phases: list[str]) -> None:
    change_params(place / "params.yaml", {"slices.phases": phases, "gan.channels": len(phases)})
