"""The random split is by patient and does not depend on the order of the cases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.cohort.case import Case
from pre2post.cohort.patients import patient_of
from pre2post.core.errors import InputError
from pre2post.image.intensity import IntensityScale
from pre2post.splits.random_split import random_splits
from pre2post.splits.splits import SPLIT_NAMES


def cohort(unmasked=6, masked=10, external=4, external_unmasked=2):
    groups = [("A", False, unmasked), ("A", True, masked), ("B", True, external), ("B", False, external_unmasked)]
    return [
        Case(f"{site}{int(mask)}{n:02d}", site, ("pre", "post1"), mask, IntensityScale(0, 1), Path())
        for site, mask, count in groups
        for n in range(count)
    ]


@settings(max_examples=50, deadline=None)
@given(
    unmasked=st.integers(1, 20),
    masked=st.integers(7, 40),
    external=st.integers(0, 9),
    seed=st.integers(0, 999),
    share=st.floats(0.05, 0.6),
    folds=st.integers(2, 3),
    shuffle=st.randoms(use_true_random=False),
)
def test_every_case_is_in_one_split(unmasked, masked, external, seed, share, folds, shuffle):
    cases = cohort(unmasked, masked, external)
    if masked - max(1, round(share * masked)) < folds:
        return
    splits = random_splits(cases, seed, "B", share, folds)
    assert splits.gan_train == [case.id for case in cases if case.site == "A" and not case.has_mask]
    assert splits.external == [case.id for case in cases if case.site == "B" and case.has_mask]
    assert sorted(splits.test + splits.validation) == [case.id for case in cases if case.site == "A" and case.has_mask]
    assert len(splits.test) == max(1, round(share * masked))
    assert sorted(name for fold in splits.folds for name in fold) == splits.validation
    sizes = [len(fold) for fold in splits.folds]
    assert len(sizes) == folds and max(sizes) - min(sizes) <= 1
    mixed = list(cases)
    shuffle.shuffle(mixed)
    assert random_splits(mixed, seed, "B", share, folds) == splits


def test_patients_with_several_lesions_are_left_out_of_the_folds_unless_kept():
    cases = [replace(case, lesions=1 + (case.id in ("A101", "A104", "A108"))) for case in cohort(masked=14)]
    kept = random_splits(cases, 3, "B", 0.3, 3, multifocal="keep")
    left_out = random_splits(cases, 3, "B", 0.3, 3)
    many = sorted({"A101", "A104", "A108"} & set(kept.validation))
    assert many and kept.multifocal == [] and left_out.multifocal == many
    assert left_out.validation == kept.validation == kept.in_folds
    assert left_out.in_folds == [patient for patient in kept.validation if patient not in many]
    assert left_out.test == kept.test


def test_the_test_patients_depend_on_the_seed():
    drawn = {tuple(random_splits(cohort(), seed, "B", 0.3, 5).test) for seed in range(8)}
    assert len(drawn) > 4


@pytest.mark.parametrize(
    "cases, folds, words",
    [
        (cohort(unmasked=0), 5, ("no patient is left", "train the generator")),
        (cohort(masked=6), 5, ("too few", "4 for", "5")),
        (cohort(masked=0), 2, ("too few", "0 for")),
        (cohort(masked=1), 2, ("too few", "0 for", "1 for the test split")),
    ],
)
def test_too_small_a_cohort_is_refused(cases, folds, words, refused):
    refused(lambda: random_splits(cases, 0, "B", 0.34, folds), "what to do", *words)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_one_case_per_patient_is_split_like_single_cases(seed, keyed):
    """An independent implementation by case, which keeps the splits of earlier results reproducible."""
    cases = [
        replace(case, lesions=1 + (place % 5 == 0), patient=f"key:{99 - place}" if keyed else "")
        for place, case in enumerate(cohort(masked=17))
    ]
    masked = sorted(case.id for case in cases if case.site == "A" and case.has_mask)
    drawn = [masked[i] for i in np.random.default_rng([seed, 1]).permutation(17)]
    many = {case.id for case in cases if case.lesions > 1}
    single = [case for case in drawn[6:] if case not in many]
    splits = random_splits(cases, seed, "B", 0.34, 3)
    assert splits.test == sorted(drawn[:6]) and splits.multifocal == sorted(many.intersection(drawn[6:]))
    assert splits.folds == [sorted(single[k::3]) for k in range(3)]


@settings(max_examples=60, deadline=None)
@given(
    patients=st.lists(st.integers(0, 14), min_size=40, max_size=40),
    seed=st.integers(0, 99),
    site=st.sampled_from(["B", ""]),
    several=st.sets(st.integers(0, 39), max_size=4),
)
def test_all_cases_of_a_patient_are_in_the_same_split(patients, seed, site, several):
    cases = [
        replace(case, patient=f"p{patient:02d}", lesions=1 + (place in several))
        for place, (case, patient) in enumerate(zip(cohort(12, 20, 5, 3), patients, strict=True))
    ]
    try:
        splits = random_splits(cases, seed, site, 0.3, 2)
    except InputError:
        return
    known = {case.id: case for case in cases}
    for subsets in ([splits.members(name) for name in SPLIT_NAMES], [*splits.folds, splits.multifocal]):
        keys = [{patient_of(known[case]) for case in subset} for subset in subsets]
        assert sum(map(len, keys)) == len(set().union(*keys))
    assert not any(known[case].has_mask for case in splits.gan_train)
    assert all(known[case].has_mask for name in SPLIT_NAMES[1:] for case in splits.members(name))
    assert not any(known[case].site == site for name in SPLIT_NAMES[:3] for case in splits.members(name))
    assert bool(splits.external) == any(case.has_mask and case.site == site for case in cases)


def test_a_patient_with_several_cases():
    """Two masked cases stay together; an unmasked one of the same patient is unused; the external site has priority."""
    cases = cohort(masked=8)
    same = {"A100": "twice", "A101": "twice", "A000": "twice", "B100": "moved", "A001": "moved", "A102": "moved"}
    splits = random_splits([replace(case, patient=same.get(case.id, "")) for case in cases], 0, "B", 0.3, 2)
    assert any({"A100", "A101"} <= set(subset) for subset in (splits.test, *splits.folds))
    assert splits.gan_train == ["A002", "A003", "A004", "A005"]
    assert "B100" in splits.external and "A102" not in splits.validation + splits.test


def test_without_an_external_site_all_cases_are_used():
    cases = [*cohort(), replace(cohort()[0], id="nowhere", site="")]
    splits = random_splits(cases, 0, "", 0.34, 2)
    assert splits.external == [] and len(splits.gan_train) == 9 and len(splits.test + splits.validation) == 14


def test_gan_fraction_adds_masked_patients_to_generator_training(refused):
    cases = [case for case in cohort(masked=20) if case.has_mask]
    refused(lambda: random_splits(cases, 3, "B", 0.3, 3), "no patient is left to train the generator", "gan_fraction")
    splits = random_splits(cases, 3, "B", 0.3, 3, gan_fraction=0.5)
    assert [len(subset) for subset in (splits.test, splits.gan_train, splits.validation)] == [6, 7, 7]
    assert splits.test == random_splits(cohort(masked=20), 3, "B", 0.3, 3).test, (
        "the test split does not depend on gan_fraction"
    )


def test_predefined_test_patients_are_the_test_split(refused):
    own = {"A100", "A107", "B100"}
    cases = [replace(case, predefined_split="test" if case.id in own else "train") for case in cohort()]
    splits = random_splits(cases, 3, "B", 0.5, 3, predefined_test=True)
    assert splits.test == ["A100", "A107"] and "B100" in splits.external and len(splits.validation) == 8
    refused(
        lambda: random_splits(cohort(), 3, "B", 0.5, 3, predefined_test=True), "no predefined test patients", "MAMA-MIA"
    )
