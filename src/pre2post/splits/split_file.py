"""A split from the user's own file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.patients import patient_of
from pre2post.core.errors import InputError, error_context
from pre2post.core.files import read_json
from pre2post.splits.random_split import by_patient, deal, ids, in_random_order, multifocal_patients
from pre2post.splits.splits import SCORED, SPLIT_NAMES, Splits, check_sizes, check_splits, parse_splits

OPTIONAL = ("folds", "multifocal")


def splits_from_file(file: Path, cases: Sequence[Case], seed: int, folds: int, multifocal: str) -> Splits:
    """Return the splits in a JSON file with the keys of splits.json.

    Without "folds", deal the validation split to random folds, except the file's "multifocal"; without that key too,
    leave out patients with several lesions if `multifocal` is "leave_out". Raises InputError for ids that were not
    ingested, a case to be scored without a mask, and a number of folds other than `folds`.
    """
    content = read_json(file)
    given = content if isinstance(content, dict) else {}
    with error_context(file=file):
        splits = parse_splits({name: [] for name in OPTIONAL} | given)
        _check_usable(splits, cases)
        if "folds" not in given:
            validation = by_patient(find_cases(splits.validation, cases))
            listed = find_cases(splits.multifocal, cases)
            left_out = (
                {*map(patient_of, listed)} if "multifocal" in given else multifocal_patients(validation, multifocal)
            )
            order = [patient for patient in in_random_order(validation, seed) if patient not in left_out]
            splits = replace(
                splits,
                folds=deal([validation[patient] for patient in order], folds),
                multifocal=ids(own for patient, own in validation.items() if patient in left_out),
            )
        if len(splits.folds) != folds:
            raise InputError(
                "the file has another number of folds",
                found=len(splits.folds),
                expected=f"{folds}, the value of split.folds",
                hint="set split.folds to the number in the file, or remove the folds from the file to get random ones",
            )
        check_sizes(splits)
        check_splits(splits)
    return splits


def _check_usable(splits: Splits, cases: Sequence[Case]) -> None:
    known = {case.id: case for case in cases}
    absent = [case for name in SPLIT_NAMES for case in splits.members(name) if case not in known]
    if absent:
        raise InputError(
            f"{len(absent)} cases of the split were not ingested",
            case=absent[0],
            expected=f"ids among the {len(known)} of cases.json",
            hint="correct the file, or add the cases to the cohort",
        )
    unmasked = [case for name in SCORED for case in splits.members(name) if not known[case].has_mask]
    if unmasked:
        raise InputError(
            f"{len(unmasked)} cases to be scored have no mask",
            case=unmasked[0],
            expected=f"masks in {', '.join(SCORED)}",
            hint="add the masks, or remove the cases from the file",
        )
