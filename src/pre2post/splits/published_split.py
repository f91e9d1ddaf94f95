"""The split of the SPIE 2024 paper, of the Duke patients who are here."""

import sys
from collections.abc import Sequence

from pre2post.cohort.case import Case
from pre2post.cohort.patients import DUKE_SPIE2024, patient_named, patient_of
from pre2post.core.errors import InputError
from pre2post.splits.random_split import external_cases
from pre2post.splits.splits import Splits, check_sizes, check_splits, read_splits


def published_splits(cases: Sequence[Case], external_site: str, folds: int, multifocal: str) -> Splits:
    """The published 668, 224 and 30 patients and folds, in the Duke download or in MAMA-MIA, as far as they are here.

    A validation or test case without a mask is left out, and said. Of other patients the masked ones of `external_site`
    are the external cohort, the rest is used nowhere. Raises InputError when nobody of the lists is here, a fold has
    nobody, or `folds` and `multifocal` ask for other folds than the published.
    """
    published = read_splits(DUKE_SPIE2024)
    if folds != len(published.folds) or multifocal != "leave_out":
        raise InputError(
            "the published split has folds of its own",
            found=f"split.folds {folds} and split.multifocal {multifocal}",
            expected=f"{len(published.folds)} and leave_out",
            hint="set them so, or split.strategy to seeded",
        )
    scored = {*map(patient_named, published.validation + published.test)}
    listed = scored | {*map(patient_named, published.gan_train)}
    present = [case for case in cases if patient_of(case) in listed]
    if not present:
        raise InputError(
            "none of the published patients is here",
            found=f"{len(cases)} cases, none of them Duke's",
            expected="cases of Duke-Breast-Cancer-MRI or of MAMA-MIA's DUKE",
            file=DUKE_SPIE2024,
            hint="set split.strategy to seeded",
        )
    usable = [case for case in present if case.has_mask or patient_of(case) not in scored]
    if len(usable) < len(present):
        without = next(case.id for case in present if case not in usable)
        print(
            f"split: {len(present) - len(usable)} published validation or test cases have no mask and are left out, "
            f"{without} first",
            file=sys.stderr,
        )

    def here(names: Sequence[str]) -> list[str]:
        patients = {*map(patient_named, names)}
        return sorted(case.id for case in usable if patient_of(case) in patients)

    splits = Splits(
        gan_train=here(published.gan_train),
        validation=here(published.validation),
        test=here(published.test),
        external=sorted(case.id for case in external_cases(cases, external_site) if patient_of(case) not in listed),
        folds=[here(fold) for fold in published.folds],
        multifocal=here(published.multifocal),
    )
    check_sizes(splits)
    check_splits(splits)
    return splits
