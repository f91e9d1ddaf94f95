"""The random split by patient, optionally with the cohort's predefined test patients."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pre2post.cohort.case import Case
from pre2post.cohort.patients import patient_of
from pre2post.core.errors import InputError
from pre2post.splits.splits import Splits, check_sizes, check_splits

SPLIT_STREAM = 1  # random stream of this stage; other stages use other streams of the same seed


def random_splits(
    cases: Sequence[Case],
    seed: int,
    external_site: str,
    test_fraction: float,
    folds: int,
    multifocal: str = "leave_out",
    gan_fraction: float = 0.0,
    predefined_test: bool = False,
) -> Splits:
    """Split by patient as in the published study: patients without a mask train the generator.

    All cases of a patient are in the same split; if one of them has a mask, those without are unused. The result does
    not depend on the order of the cases.

    Args:
        cases: the ingested cases.
        seed: seed of the permutation.
        external_site: its masked patients are the external split, its other patients are unused; "" for no site.
        test_fraction: of the other masked patients, at least one, are the test split.
        folds: number of segmentation folds, into which the validation split is divided.
        multifocal: "leave_out" keeps patients with several lesions out of the folds, as published; "keep" does not.
        gan_fraction: of the masked patients outside test and external, also train the generator.
        predefined_test: take the test patients from the cohort's own table instead of `test_fraction`.

    Raises InputError if a split would be empty or too small.
    """
    external = external_cases(cases, external_site)
    away = {patient_of(case) for case in external}
    inside = [case for case in cases if not _is_of_site(case, external_site) and patient_of(case) not in away]
    masked = by_patient(case for case in inside if case.has_mask)
    drawn = in_random_order(masked, seed)
    test = _predefined_test(masked) if predefined_test else set(drawn[: max(1, round(test_fraction * len(drawn)))])
    rest = [patient for patient in drawn if patient not in test]
    generator = set(rest[len(rest) - round(gan_fraction * len(rest)) :])
    validation = {patient: masked[patient] for patient in rest if patient not in generator}
    left_out = multifocal_patients(validation, multifocal)
    splits = Splits(
        gan_train=sorted(case.id for case in inside if patient_of(case) not in masked or patient_of(case) in generator),
        validation=ids(validation.values()),
        test=ids(masked[patient] for patient in test),
        external=ids([external]),
        folds=deal([own for patient, own in validation.items() if patient not in left_out], folds),
        multifocal=ids(validation[patient] for patient in left_out),
    )
    check_sizes(splits)
    check_splits(splits)
    return splits


def _predefined_test(patients: Mapping[str, Sequence[Case]]) -> set[str]:
    test = {patient for patient, own in patients.items() if any(case.predefined_split == "test" for case in own)}
    if not test:
        raise InputError(
            "the cohort has no predefined test patients",
            found=f"{len(patients)} masked patients",
            expected="a table such as MAMA-MIA's train_test_splits.csv",
            hint="set split.strategy to random",
        )
    return test


def external_cases(cases: Iterable[Case], site: str) -> list[Case]:
    """Return the masked cases of the external site; none if `site` is ""."""
    return [case for case in cases if case.has_mask and _is_of_site(case, site)]


def by_patient(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Group the cases by patient, in order of the patient's first id."""
    found: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.id):
        found.setdefault(patient_of(case), []).append(case)
    return found


def in_random_order(patients: Iterable[str], seed: int) -> list[str]:
    """Return the patients in the permutation of the seed."""
    patients = list(patients)
    return [patients[place] for place in np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(patients))]


def multifocal_patients(patients: Mapping[str, Sequence[Case]], multifocal: str) -> set[str]:
    """Return the patients with several lesions, to leave out of the folds; none unless `multifocal` is "leave_out"."""
    return {
        patient
        for patient, own in patients.items()
        if multifocal == "leave_out" and any(case.lesions > 1 for case in own)
    }


def deal(patients: Sequence[Sequence[Case]], folds: int) -> list[list[str]]:
    """Return the ids of each fold; patients are dealt to the folds in turn."""
    return [ids(patients[fold::folds]) for fold in range(folds)]


def ids(patients: Iterable[Iterable[Case]]) -> list[str]:
    """Return the ids of all cases of these patients, sorted."""
    return sorted(case.id for own in patients for case in own)


def _is_of_site(case: Case, site: str) -> bool:
    return bool(site) and case.site == site
