"""Checks of splits on disk: disjoint splits, and folds that partition the validation split."""

import json
from dataclasses import replace

import pytest

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
def test_a_case_in_two_splits_or_folds_is_refused(tmp_path, change, refused):
    leaky = replace(GOOD, **change)
    refused(lambda: check_splits(leaky), "in two splits or folds", "case")
    refused(lambda: write_splits(tmp_path / "splits.json", leaky), "in two splits or folds")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folds", [[["b"]], [["b"], ["c", "d"]], []])
def test_folds_that_do_not_partition_the_validation_split_are_refused(folds, refused):
    refused(lambda: check_splits(replace(GOOD, folds=folds)), "partition")
    check_splits(replace(GOOD, folds=[["b"]], multifocal=["c"]))


def test_splits_are_read_as_written_and_damaged_files_are_refused(tmp_path, refused):
    write_splits(tmp_path / "splits.json", GOOD)
    assert read_splits(tmp_path / "splits.json") == GOOD
    content = json.loads((tmp_path / "splits.json").read_text())
    (tmp_path / "splits.json").write_text(json.dumps(content | {"test": ["d", "a"]}))
    refused(lambda: read_splits(tmp_path / "splits.json"), "case a", "gan_train", "test")
    (tmp_path / "splits.json").write_text("{}")
    refused(lambda: read_splits(tmp_path / "splits.json"), "not splits", "gan_train", "splits.json")
    for odd in ({"test": "d"}, {"test": [1]}, {"test": None}, {"folds": [["b"], [["c"]]]}, {"folds": 2}):
        (tmp_path / "splits.json").write_text(json.dumps(content | odd))
        refused(lambda: read_splits(tmp_path / "splits.json"), "not splits", "splits.json", "gan_train")


def test_splits_are_summarised_for_the_log():
    splits = replace(GOOD, validation=["b", "c", "m"], multifocal=["m"])
    assert str(splits) == "1 generator training, 3 validation (2 in 2 folds, 1 multifocal left out), 1 test, 1 external"
