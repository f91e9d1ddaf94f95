import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.splits import Splits
from pipeline.errors import InputError
from segmentation.study import baseline_of, case_of, fold_keys, key, phases_needed, validation_phases

SETTINGS = {"pre": ["pre"], "post": ["post1"], "synthetic": ["synthetic"], "pre_synthetic": ["pre", "synthetic"],
            "mix": ["synthetic", "post1"], "all": ["pre", "post1", "synthetic"]}


def make_splits(folds):
    return Splits([], sorted(patient for fold in folds for patient in fold), [], [], folds)


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), min_size=2, max_size=5)
       .filter(lambda folds: len({i for fold in folds for i in fold}) == sum(map(len, folds))),
       st.sampled_from(list(SETTINGS)), st.data())
def test_no_patient_trains_and_validates_in_any_phase(numbers, name, data):
    splits = make_splits([[f"p_{i}__x" for i in fold] for fold in numbers])
    fold = data.draw(st.integers(0, len(numbers) - 1))
    found = fold_keys(SETTINGS[name], splits, fold)
    training, validation = ({case_of(entry) for entry in found[side]} for side in ("train", "val"))
    assert validation == set(splits.folds[fold])
    assert training == set(splits.validation) - validation
    assert not any(entry.endswith("__synthetic") for entry in found["val"])
    assert len(found["train"]) == len(training) * len(SETTINGS[name])


def test_validation_is_real_and_of_the_setting():
    assert validation_phases(["synthetic", "pre"]) == ["pre"]
    assert validation_phases(["synthetic"]) == ["post1"]
    assert phases_needed(SETTINGS, ["synthetic"]) == ["post1", "synthetic"]
    assert phases_needed(SETTINGS, ["pre", "pre_synthetic"]) == ["pre", "synthetic"]


def test_names_come_back():
    assert case_of(key("Breast__MRI_001", "post1")) == "Breast__MRI_001"


def test_the_baseline_is_the_same_setting_without_synthetic():
    trained = list(SETTINGS)
    assert baseline_of("pre_synthetic", SETTINGS, trained) == "pre"
    assert baseline_of("mix", SETTINGS, trained) == "post"
    assert baseline_of("all", SETTINGS, trained) is None
    assert baseline_of("pre", SETTINGS, trained) is None
    assert baseline_of("synthetic", SETTINGS, trained) is None
    assert baseline_of("mix", SETTINGS, ["pre", "mix"]) is None


@pytest.mark.parametrize("fold", [-1, 2])
def test_an_unknown_fold_is_refused(fold):
    with pytest.raises(InputError, match="no such fold"):
        fold_keys(["pre"], make_splits([["a"], ["b"]]), fold)


@pytest.mark.parametrize("folds", [[["a"], []], [["a", "b"]]])
def test_a_fold_needs_patients_on_both_sides(folds):
    with pytest.raises(InputError, match="no patient to"):
        fold_keys(["pre"], make_splits(folds), len(folds) - 1)
