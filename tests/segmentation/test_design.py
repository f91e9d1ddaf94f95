import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.cohort.case import Case
from pre2post.core.errors import InputError
from pre2post.image.intensity import IntensityScale
from pre2post.segmentation.design import (
    baseline_of,
    comparisons,
    domain_of,
    imitated_phase,
    is_synthetic,
    made_phases,
    mix_label,
    phases_needed,
    rivals_of,
    split_and_phase,
    validation_phases,
)
from pre2post.segmentation.folds import fold_cases
from pre2post.segmentation.nnunet import case_of, nnunet_case
from pre2post.segmentation.volumes import volume_file
from pre2post.splits.splits import Splits

MIXES = {
    "pre": {"pre": 1.0},
    "post": {"post1": 1.0},
    "synthetic": {"synthetic": 1.0},
    "pre_synthetic": {"pre": 1.0, "synthetic": 1.0},
    "more": {"pre": 1.0, "synthetic": 0.7},
    "pre_post": {"pre": 1.0, "post1": 1.0},
    "all": {"pre": 1.0, "post1": 1.0, "synthetic": 1.0},
    "lut": {"lut": 1.0},
    "pre_lut": {"pre": 1.0, "lut": 1.0},
}


def make_splits(folds):
    return Splits([], sorted(patient for fold in folds for patient in fold), [], [], folds)


@given(
    st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), min_size=2, max_size=5).filter(
        lambda folds: len({i for fold in folds for i in fold}) == sum(map(len, folds))
    ),
    st.sampled_from(list(MIXES)),
    st.data(),
)
def test_no_patient_trains_and_validates_in_any_phase(numbers, name, data):
    splits = make_splits([[f"p_{i}__x" for i in fold] for fold in numbers])
    fold = data.draw(st.integers(0, len(numbers) - 1))
    found = fold_cases(MIXES[name], splits, fold, 7)
    training, validation = ({case_of(entry) for entry in found[side]} for side in ("train", "val"))
    assert validation == set(splits.folds[fold])
    assert training == set(splits.validation) - validation
    assert not any(entry.endswith(("__synthetic", "__lut")) for entry in found["val"])
    assert len(found["train"]) == sum(round(fraction * len(training)) for fraction in MIXES[name].values())


FOLDS = [[f"p{number}" for number in range(start, start + 4)] for start in range(0, 20, 4)]


@given(st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 4), st.integers(0, 2**31))
def test_a_smaller_fraction_is_part_of_a_larger_one_and_the_same_in_every_phase(first, second, fold, seed):
    small, large = sorted((first, second))
    splits = make_splits(FOLDS)
    train = set(fold_cases({"pre": small, "synthetic": large}, splits, fold, seed)["train"])
    pre, synthetic = ({case_of(name) for name in train if name.endswith(end)} for end in ("__pre", "__synthetic"))
    assert pre <= synthetic
    assert (len(pre), len(synthetic)) == (round(16 * small), round(16 * large))


def test_another_seed_selects_other_patients():
    splits = make_splits(FOLDS)
    selected = {tuple(fold_cases({"pre": 0.5}, splits, 0, seed)["train"]) for seed in range(5)}
    assert len(selected) == 5


def test_a_fraction_that_leaves_no_patient_is_refused():
    with pytest.raises(InputError, match=r"fraction of synthetic leaves no patient.*found: 0.01 of 16 patients.*0.031"):
        fold_cases({"pre": 1.0, "synthetic": 0.01}, make_splits(FOLDS), 0, 7)


def test_multifocal_patients_are_in_no_fold():
    splits = Splits([], ["a", "b", "c"], [], [], [["a"], ["b"]], ["c"])
    found = fold_cases({"pre": 1.0}, splits, 0, 7)
    assert found == {"train": ["b__pre"], "val": ["a__pre"]}


def test_a_mix_is_validated_in_its_real_phases():
    assert validation_phases({"synthetic": 1.0, "pre": 1.0}) == ["pre"]
    assert validation_phases({"synthetic": 0.5}) == ["post1"]
    assert phases_needed(MIXES, ["synthetic"]) == ["post1", "synthetic"]
    assert phases_needed(MIXES, ["pre", "pre_synthetic"]) == ["pre", "synthetic"]


def test_names_of_nnunet_cases_and_domains_can_be_inverted():
    assert case_of(nnunet_case("Breast__MRI_001", "post1")) == "Breast__MRI_001"
    assert split_and_phase(domain_of("test", "synthetic_post2")) == ("test", "synthetic_post2")


def test_the_baseline_is_the_mix_without_its_last_phase():
    trained = list(MIXES)
    expected = {
        "pre": None,
        "post": None,
        "synthetic": "post",
        "pre_synthetic": "pre",
        "more": "pre",
        "pre_post": "pre",
        "all": "pre_post",
        "lut": "post",
        "pre_lut": "pre",
    }
    assert {name: baseline_of(name, MIXES, trained) for name in trained} == expected
    assert baseline_of("more", MIXES, ["post", "more"]) is None
    other_order = {"pre": {"pre": 1.0}, "both": {"lut": 1.0, "pre": 1.0}}
    assert baseline_of("both", other_order, ["pre", "both"]) == "pre"


@pytest.mark.parametrize("folds", [[["a"], []], [["a", "b"]]])
def test_a_fold_needs_patients_on_both_sides(folds):
    with pytest.raises(InputError, match="no patient to"):
        fold_cases({"pre": 1.0}, make_splits(folds), len(folds) - 1, 7)


def test_further_synthetic_phases_imitate_theirs(tmp_path):
    assert [*map(is_synthetic, ("pre", "post2", "synthetic", "synthetic_post2"))] == [False, False, True, True]
    assert [*map(imitated_phase, ("synthetic", "synthetic_post2", "lut", "blur_post3"))] == [
        "post1",
        "post2",
        "post1",
        "post3",
    ]
    assert made_phases("lut", ["post1", "post2"]) == ["lut", "lut_post2"]
    assert validation_phases({"synthetic_post2": 1.0}) == ["post2"]
    assert validation_phases({"pre": 1.0, "synthetic_post2": 1.0}) == ["pre"]
    mixes = {
        "late": {"post2": 0.5},
        "synthetic": {"synthetic_post2": 0.5},
        "pre": {"pre": 1.0},
        "both": {"pre": 1.0, "synthetic_post2": 1.0},
    }
    assert baseline_of("synthetic", mixes, list(mixes)) == "late"
    assert baseline_of("both", mixes, list(mixes)) == "pre"
    case = Case("a", "A", ("pre",), True, IntensityScale(0, 1), tmp_path)
    for phase, name in (
        ("synthetic", "a.nii.gz"),
        ("synthetic_post2", "a__post2.nii.gz"),
        ("lut", "a__lut.nii.gz"),
        ("blur_post2", "a__blur_post2.nii.gz"),
    ):
        (tmp_path / name).touch()
        assert volume_file(case, phase, tmp_path) == tmp_path / name


def test_rivals_have_look_up_volumes_in_place_of_synthetic_ones():
    trained = list(MIXES)
    assert rivals_of("pre_synthetic", MIXES, trained) == ["pre_lut"]
    assert rivals_of("synthetic", MIXES, trained) == ["lut"]
    assert rivals_of("pre_lut", MIXES, trained) == rivals_of("all", MIXES, trained) == []
    assert rivals_of("pre_synthetic", MIXES, ["pre_synthetic"]) == []
    further = {"both": {"pre": 0.5, "synthetic_post2": 1.0}, "rival": {"pre": 0.5, "blur_post2": 1.0}}
    assert rivals_of("both", further, list(further)) == ["rival"]


def test_comparisons_list_baselines_before_rivals():
    assert comparisons(MIXES, ["pre", "pre_synthetic", "pre_lut"]) == [
        ("pre_synthetic", "pre", "baseline"),
        ("pre_lut", "pre", "baseline"),
        ("pre_synthetic", "pre_lut", "rival"),
    ]


def test_the_threshold_has_a_label_of_its_own():
    assert [mix_label(name) for name in ("pre_lut", "threshold")] == ["pre + lut", "single threshold"]
