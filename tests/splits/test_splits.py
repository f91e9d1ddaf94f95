"""Splits on disk refuse a patient in two parts, and folds that are no partition."""

import json
from dataclasses import replace

import pytest

from pre2post.core.errors import InputError
from pre2post.splits.splits import Splits, check_splits, read_splits, write_splits

GOOD = Splits(["a"], ["b", "c"], ["d"], ["e"], [["b"], ["c"]])


@pytest.mark.parametrize(
    "change",
    [
        {"test": ["d", "b"]},
        {"external": ["a"]},
        {"gan_train": ["a", "a"]},
        {"folds": [["b"], ["c", "b"]]},
        {"multifocal": ["c"]},
    ],
)
def test_a_patient_in_two_parts_is_refused(tmp_path, change, refused):
    leaky = replace(GOOD, **change)
    refused(lambda: check_splits(leaky), "in two parts", "case")
    refused(lambda: write_splits(tmp_path / "splits.json", leaky), "in two parts")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folds", [[["b"]], [["b"], ["c", "d"]], []])
def test_folds_that_are_no_partition_are_refused(folds, refused):
    refused(lambda: check_splits(replace(GOOD, folds=folds)), "partition")
    check_splits(replace(GOOD, folds=[["b"]], multifocal=["c"]))


def test_splits_come_back(tmp_path, refused):
    write_splits(tmp_path / "splits.json", GOOD)
    assert read_splits(tmp_path / "splits.json") == GOOD
    content = json.loads((tmp_path / "splits.json").read_text())
    (tmp_path / "splits.json").write_text(json.dumps(content | {"test": ["d", "a"]}))
    refused(lambda: read_splits(tmp_path / "splits.json"), "case a", "gan_train", "test")
    (tmp_path / "splits.json").write_text("{}")
    refused(lambda: read_splits(tmp_path / "splits.json"), "not splits", "gan_train", "splits.json")
    for odd in ({"test": "d"}, {"test": [1]}, {"test": None}, {"folds": [["b"], [["c"]]]}, {"folds": 2}):
        (tmp_path / "splits.json").write_text(json.dumps(content | odd))
        with pytest.raises(InputError):
            read_splits(tmp_path / "splits.json")
