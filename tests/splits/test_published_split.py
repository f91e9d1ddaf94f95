"""The published split, which recognises patients by any id, and a split from the user's file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pre2post.cohort.case import Case
from pre2post.cohort.patients import DUKE_SPIE2024, PUBLISHED, digest, patient_named
from pre2post.core.files import read_json
from pre2post.image.intensity import IntensityScale
from pre2post.splits.published_split import published_splits
from pre2post.splits.split_file import splits_from_file
from pre2post.splits.splits import SPLIT_NAMES, Splits, read_splits

ALL_PATIENTS = range(1, 923)


def duke(numbers=ALL_PATIENTS, name="Breast_MRI_{:03d}", site="duke"):
    return [
        Case(name.format(n), site, ("pre", "post1"), True, IntensityScale(0, 1), Path(), patient=f"duke:{n:03d}")
        for n in numbers
    ]


def test_the_published_lists_are_complete():
    lists = read_splits(DUKE_SPIE2024)
    assert [len(lists.members(name)) for name in SPLIT_NAMES] == [668, 224, 30, 0] and len(lists.multifocal) == 33
    assert [len(fold) for fold in lists.folds] == [39, 38, 38, 38, 38]
    assert sorted(lists.gan_train + lists.validation + lists.test) == [f"Breast_MRI_{n:03d}" for n in ALL_PATIENTS]
    later = read_json(PUBLISHED / "duke_jmi2025.json")
    assert (len(set(later["test"])), len(set(later["validation"]))) == (100, 50)
    assert not set(later["test"]) & set(later["validation"])
    assert len(set(later["test"]) & set(lists.gan_train)) == 70


def test_the_complete_archive_is_split_as_published():
    assert published_splits(duke(), "", 5, "leave_out") == read_splits(DUKE_SPIE2024)


def test_patients_are_recognised_by_any_id():
    lists = read_splits(DUKE_SPIE2024)
    numbers = [n for n in ALL_PATIENTS if n % 3]
    others = [
        replace(case, id=f"ISPY1_{place}", site="ISPY1", patient="", has_mask=place > 0)
        for place, case in enumerate(duke(range(1, 4)))
    ]
    renamed = published_splits([*duke(numbers, "DUKE_{:03d}", "DUKE"), *others], "ISPY1", 5, "leave_out")
    for split in (*SPLIT_NAMES[:3], "multifocal"):
        assert getattr(renamed, split) == [f"DUKE_{name[-3:]}" for name in getattr(lists, split) if int(name[-3:]) % 3]
    assert renamed.external == ["ISPY1_1", "ISPY1_2"]
    assert published_splits([*duke(), *others], "B", 5, "leave_out").external == []


def test_two_cases_of_a_patient_stay_together():
    splits = published_splits([*duke(), *duke([1, 3, 9], "DUKE_{:03d}")], "", 5, "leave_out")
    for name in (*SPLIT_NAMES, "multifocal"):
        assert ("DUKE_001" in getattr(splits, name)) == ("Breast_MRI_001" in getattr(splits, name))
    assert "DUKE_003" in splits.gan_train and "DUKE_009" in splits.test


def test_patients_without_a_mask_are_left_out_of_validation_and_test(capsys):
    lists = read_splits(DUKE_SPIE2024)
    without = {*lists.gan_train, *lists.validation[:3], lists.test[0]}
    splits = published_splits([replace(case, has_mask=case.id not in without) for case in duke()], "", 5, "leave_out")
    assert splits.gan_train == lists.gan_train
    assert splits.validation == lists.validation[3:] and splits.test == lists.test[1:]
    first = lists.validation[0]
    assert f"4 published validation or test cases without a mask are left out, the first is {first}" in (
        capsys.readouterr().err
    )


def test_a_cohort_or_folds_that_differ_from_the_publication_are_refused(refused):
    phantom = [replace(case, patient=f"phantom:{case.id}") for case in duke(range(1, 61))]
    refused(
        lambda: published_splits(phantom, "B", 5, "leave_out"),
        "no published patient",
        "60 cases",
        "split.strategy to random",
    )
    refused(lambda: published_splits(duke(), "", 4, "leave_out"), "has its own folds", "split.folds 4")
    refused(lambda: published_splits(duke(), "", 5, "keep"), "has its own folds", "keep")
    refused(lambda: published_splits(duke(range(1, 30)), "", 5, "leave_out"), "too few masked")
    refused(lambda: published_splits([replace(case, has_mask=False) for case in duke()], "", 5, "leave_out"), "too few")


def test_names_and_digests_of_patients():
    assert patient_named("Breast_MRI_012") == patient_named("DUKE_012") == patient_named("duke:012") == "duke:012"
    assert patient_named("phantom:Breast_MRI_012") == "phantom:Breast_MRI_012" and patient_named("DUKE_12") == "DUKE_12"
    assert digest("abc") == "ba7816bf8f01cfea"  # FIPS 180-2, appendix B.1
    assert len({digest(f"duke:{n:03d}") for n in ALL_PATIENTS}) == 922


CASES = [
    Case(name, "A", ("pre",), name != "t", IntensityScale(0, 1), Path(), lesions=1 + (name == "e"))
    for name in ("t", "a", "b", "c", "d", "e", "p", "x")
]
FILE = {"gan_train": ["t"], "validation": ["b", "a", "e", "d", "c"], "test": ["p"], "external": ["x"]}


@pytest.fixture
def from_file(tmp_path):
    def read(content, cases=CASES, folds=2, multifocal="leave_out", seed=0):
        (tmp_path / "mine.json").write_text(json.dumps(content))
        return splits_from_file(tmp_path / "mine.json", cases, seed, folds, multifocal)

    return read


def test_a_file_is_read_as_written(from_file):
    complete = FILE | {"folds": [["c", "a"], ["b", "d"]], "multifocal": ["e"], "source": "mine"}
    assert from_file(complete) == Splits(["t"], list("abcde"), ["p"], ["x"], [["a", "c"], ["b", "d"]], ["e"])
    assert from_file(FILE | {"folds": [["c", "a"], ["b", "d", "e"]]}).multifocal == []


def test_folds_are_random_if_the_file_has_none(from_file):
    splits = from_file(FILE)
    assert splits.multifocal == ["e"] and splits.in_folds == list("abcd") and [*map(len, splits.folds)] == [2, 2]
    assert from_file(FILE, multifocal="keep").in_folds == list("abcde")
    assert from_file(FILE | {"multifocal": ["a"]}).in_folds == list("bcde")
    assert from_file(FILE, CASES[::-1]) == splits
    assert len({str(from_file(FILE, seed=seed).folds) for seed in range(9)}) > 2
    twins = [replace(case, patient="twin" if case.id in "ab" else "") for case in CASES]
    assert all(any({"a", "b"} <= set(fold) for fold in from_file(FILE, twins, seed=seed).folds) for seed in range(5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": ["q", "p", "r"]}, ("2 cases", "not ingested", "case q", "mine.json")),
        ({"test": ["t"], "gan_train": ["a"], "validation": ["b", "c"]}, ("no mask", "case t", "mine.json")),
        ({"test": ["p", "a"]}, ("in two splits", "case a")),
        ({"test": []}, ("0 for the test",)),
        ({"gan_train": []}, ("train the generator",)),
        ({"validation": ["a"]}, ("too few",)),
        ({"folds": [["a"], ["b"], ["c"]]}, ("number of folds", "3", "split.folds")),
        ({"folds": [["a"], ["b"]]}, ("partition",)),
        ({"gan_train": None}, ("not splits", "ids that are not strings in lists")),
    ],
)
def test_a_file_that_does_not_match_the_cohort_is_refused(from_file, change, words, refused):
    refused(lambda: from_file(FILE | change), *words)


def test_a_file_without_splits_is_refused(from_file, tmp_path, refused):
    refused(lambda: from_file([]), "not splits", "gan_train", "mine.json")
    refused(lambda: splits_from_file(tmp_path / "absent.json", CASES, 0, 2, "keep"), "absent.json", "missing")
