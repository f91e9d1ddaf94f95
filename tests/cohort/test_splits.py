"""Splits are by patient, seeded, independent of order, and refuse a patient in two parts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.case import Case
from cohort.splits import Splits, check_splits, make_splits, read_splits, write_splits
from imaging.scale import IntensityScale


def cohort(unmasked=6, masked=10, external=4, external_unmasked=2):
    groups = [("A", False, unmasked), ("A", True, masked), ("B", True, external), ("B", False, external_unmasked)]
    return [Case(f"{site}{int(mask)}{n:02d}", site, ("pre", "post1"), mask, IntensityScale(0, 1), Path())
            for site, mask, count in groups for n in range(count)]


GOOD = Splits(["a"], ["b", "c"], ["d"], ["e"], [["b"], ["c"]])


@settings(max_examples=50, deadline=None)
@given(unmasked=st.integers(1, 20), masked=st.integers(7, 40), external=st.integers(0, 9), seed=st.integers(0, 999),
       share=st.floats(0.05, 0.6), folds=st.integers(2, 3), shuffle=st.randoms(use_true_random=False))
def test_everybody_is_in_one_part(unmasked, masked, external, seed, share, folds, shuffle):
    cases = cohort(unmasked, masked, external)
    if masked - max(1, round(share * masked)) < folds:
        return
    splits = make_splits(cases, seed, "B", share, folds)
    assert splits.gan_train == [case.id for case in cases if case.site == "A" and not case.has_mask]
    assert splits.external == [case.id for case in cases if case.site == "B" and case.has_mask]
    assert sorted(splits.test + splits.validation) == [case.id for case in cases if case.site == "A" and case.has_mask]
    assert len(splits.test) == max(1, round(share * masked))
    assert sorted(name for fold in splits.folds for name in fold) == splits.validation
    sizes = [len(fold) for fold in splits.folds]
    assert len(sizes) == folds and max(sizes) - min(sizes) <= 1
    mixed = list(cases)
    shuffle.shuffle(mixed)
    assert make_splits(mixed, seed, "B", share, folds) == splits


def test_patients_with_several_lesions_are_in_no_fold_unless_kept():
    cases = [replace(case, lesions=1 + (case.id in ("A101", "A104", "A108"))) for case in cohort(masked=14)]
    kept = make_splits(cases, 3, "B", 0.3, 3, multifocal="keep")
    left_out = make_splits(cases, 3, "B", 0.3, 3)
    many = sorted({"A101", "A104", "A108"} & set(kept.validation))
    assert many and kept.multifocal == [] and left_out.multifocal == many
    assert left_out.validation == kept.validation == kept.in_folds
    assert left_out.in_folds == [patient for patient in kept.validation if patient not in many]
    assert left_out.test == kept.test


def test_the_seed_draws_the_test_patients():
    drawn = {tuple(make_splits(cohort(), seed, "B", 0.3, 5).test) for seed in range(8)}
    assert len(drawn) > 4


@pytest.mark.parametrize("cases, folds, words", [
    (cohort(unmasked=0), 5, ("nobody", "train the generator")), (cohort(masked=6), 5, ("too few", "4 for", "5")),
    (cohort(masked=0), 2, ("too few", "0 for")), (cohort(masked=1), 2, ("too few", "0 for", "1 for the test"))])
def test_a_cohort_too_small_is_refused(cases, folds, words, refused):
    refused(lambda: make_splits(cases, 0, "B", 0.34, folds), "what to do", *words)


@pytest.mark.parametrize("change", [
    {"test": ["d", "b"]}, {"external": ["a"]}, {"gan_train": ["a", "a"]}, {"folds": [["b"], ["c", "b"]]},
    {"multifocal": ["c"]}])
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
    refused(lambda: read_splits(tmp_path / "splits.json"), "not splits", "gan_train")
