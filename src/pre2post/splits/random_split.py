"""The split that the seed draws, patient by patient."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pre2post.cohort.case import Case
from pre2post.cohort.patients import patient_of
from pre2post.core.errors import InputError
from pre2post.splits.splits import Splits, check_sizes, check_splits

SPLIT_STREAM = 1  # number of this stage's random stream, so that no other stage draws the same numbers


def make_splits(
    cases: Sequence[Case],
    seed: int,
    external_site: str,
    test_fraction: float,
    folds: int,
    multifocal: str = "leave_out",
    gan_fraction: float = 0.0,
    listed: bool = False,
) -> Splits:
    """Splits by patient, as the published study did: whoever has no mask trains the generator.

    Masked patients of `external_site` ("": there is none) are the external cohort, and its unmasked ones are used
    nowhere, so that the site stays unseen. Of the other masked patients `test_fraction`, at least one, are the test set,
    or where `listed` those that the cohort's own table names; of the rest `gan_fraction` train the generator as
    well, and the others are validation. Of these, whoever has more than one lesion is in no fold where `multifocal` is
    "leave_out", as published. All cases of a patient go one way: with a mask in one, those without are used nowhere.
    The result depends on the ids, not on their order. Raises InputError when a part would be empty or too small.
    """
    external = external_cases(cases, external_site)
    away = {patient_of(case) for case in external}
    inside = [case for case in cases if not _of_site(case, external_site) and patient_of(case) not in away]
    masked = by_patient(case for case in inside if case.has_mask)
    drawn = in_random_order(masked, seed)
    test = _listed(masked) if listed else set(drawn[: max(1, round(test_fraction * len(drawn)))])
    rest = [patient for patient in drawn if patient not in test]
    generator = set(rest[len(rest) - round(gan_fraction * len(rest)) :])
    validation = {patient: masked[patient] for patient in rest if patient not in generator}
    many = several_lesions(validation, multifocal)
    splits = Splits(
        gan_train=sorted(case.id for case in inside if patient_of(case) not in masked or patient_of(case) in generator),
        validation=ids(validation.values()),
        test=ids(masked[patient] for patient in test),
        external=ids([external]),
        folds=deal([own for patient, own in validation.items() if patient not in many], folds),
        multifocal=ids(validation[patient] for patient in many),
    )
    check_sizes(splits)
    check_splits(splits)
    return splits


def _listed(patients: Mapping[str, Sequence[Case]]) -> set[str]:
    found = {patient for patient, own in patients.items() if any(case.published_part == "test" for case in own)}
    if not found:
        raise InputError(
            "the cohort lists no test patients of its own",
            found=f"{len(patients)} masked patients",
            expected="a table such as MAMA-MIA's train_test_splits.csv",
            hint="set split.strategy to seeded",
        )
    return found


def external_cases(cases: Iterable[Case], site: str) -> list[Case]:
    """The masked cases of the external site; none where there is no such site."""
    return [case for case in cases if case.has_mask and _of_site(case, site)]


def by_patient(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases of each patient, in order of the first of their ids."""
    found: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.id):
        found.setdefault(patient_of(case), []).append(case)
    return found


def in_random_order(patients: Iterable[str], seed: int) -> list[str]:
    """The patients as the seed shuffles them."""
    patients = list(patients)
    return [patients[place] for place in np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(patients))]


def several_lesions(patients: Mapping[str, Sequence[Case]], multifocal: str) -> set[str]:
    """Those that are left out of the folds for having more than one lesion; nobody unless `multifocal` says so."""
    return {
        patient
        for patient, own in patients.items()
        if multifocal == "leave_out" and any(case.lesions > 1 for case in own)
    }


def deal(patients: Sequence[Sequence[Case]], folds: int) -> list[list[str]]:
    """The ids of each fold, the patients dealt out in turn like cards."""
    return [ids(patients[fold::folds]) for fold in range(folds)]


def ids(patients: Iterable[Iterable[Case]]) -> list[str]:
    """The ids of all cases of these patients, sorted."""
    return sorted(case.id for own in patients for case in own)


def _of_site(case: Case, site: str) -> bool:
    return bool(site) and case.site == site
