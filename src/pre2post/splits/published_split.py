"""The split of the SPIE 2024 paper, restricted to the Duke patients in the cohort."""

import sys
from collections.abc import Sequence

from pre2post.cohort.case import Case
from pre2post.cohort.patients import DUKE_SPIE2024, patient_named, patient_of
from pre2post.core.errors import InputError
from pre2post.splits.random_split import external_cases
from pre2post.splits.splits import Splits, check_sizes, check_splits, read_splits


def published_splits(cases: Sequence[Case], external_site: str, folds: int, multifocal: str) -> Splits:
    """Return the published splits of 668, 224 and 30 patients and their folds, as far as the cohort contains them.

    The patients are recognised in the Duke download and in MAMA-MIA. Validation and test cases without a mask are
    dropped with a warning. Other masked patients of `external_site` are the external split; the rest is unused. Raises
    InputError if no listed patient is present, a fold is empty, or `folds` or `multifocal` differ from the publication.
    """
    published = read_splits(DUKE_SPIE2024)
    if folds != len(published.folds) or multifocal != "leave_out":
        raise InputError(
            "the published split has its own folds",
            found=f"split.folds {folds} and split.multifocal {multifocal}",
            expected=f"{len(published.folds)} and leave_out",
            hint="set these values, or set split.strategy to random",
        )
    scored = {*map(patient_named, published.validation + published.test)}
    published_patients = scored | {*map(patient_named, published.gan_train)}
    present = [case for case in cases if patient_of(case) in published_patients]
    if not present:
        raise InputError(
            "the cohort contains no published patient",
            found=f"{len(cases)} cases, none from Duke",
            expected="cases of Duke-Breast-Cancer-MRI, or of Duke in MAMA-MIA",
            file=DUKE_SPIE2024,
            hint="set split.strategy to random",
        )
    usable = [case for case in present if case.has_mask or patient_of(case) not in scored]
    if len(usable) < len(present):
        first = next(case.id for case in present if case not in usable)
        print(
            f"warning: {len(present) - len(usable)} published validation or test cases without a mask are left out, "
            f"the first is {first}",
            file=sys.stderr,
        )

    def members(names: Sequence[str]) -> list[str]:
        patients = {*map(patient_named, names)}
        return sorted(case.id for case in usable if patient_of(case) in patients)

    splits = Splits(
        gan_train=members(published.gan_train),
        validation=members(published.validation),
        test=members(published.test),
        external=sorted(
            case.id for case in external_cases(cases, external_site) if patient_of(case) not in published_patients
        ),
        folds=[members(fold) for fold in published.folds],
        multifocal=members(published.multifocal),
    )
    check_sizes(splits)
    check_splits(splits)
    return splits
