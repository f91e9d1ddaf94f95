"""A split that the user wrote down."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.patients import patient_of
from pre2post.core.errors import InputError, error_context
from pre2post.core.files import read_json
from pre2post.splits.random_split import by_patient, deal, ids, in_random_order, several_lesions
from pre2post.splits.splits import PARTS, SCORED, Splits, check_sizes, check_splits, parse_splits

OPTIONAL = ("folds", "multifocal")


def splits_from_file(file: Path, cases: Sequence[Case], seed: int, folds: int, multifocal: str) -> Splits:
    """The split in a JSON file of the form of splits.json.

    Without "folds" the seed deals them, leaving out the file's "multifocal" or, without that too, whoever has several
    lesions where `multifocal` is "leave_out". Raises InputError for ids that were not ingested, a case without a mask
    that is to be scored, and folds of another number than `folds`.
    """
    content = read_json(file)
    given = content if isinstance(content, dict) else {}
    with error_context(file=file):
        splits = parse_splits({name: [] for name in OPTIONAL} | given)
        _check_usable(splits, cases)
        if "folds" not in given:
            validation = by_patient(find_cases(splits.validation, cases))
            listed = find_cases(splits.multifocal, cases)
            many = {*map(patient_of, listed)} if "multifocal" in given else several_lesions(validation, multifocal)
            order = [patient for patient in in_random_order(validation, seed) if patient not in many]
            splits = replace(
                splits,
                folds=deal([validation[patient] for patient in order], folds),
                multifocal=ids(own for patient, own in validation.items() if patient in many),
            )
        if len(splits.folds) != folds:
            raise InputError(
                "this split has another number of folds",
                found=len(splits.folds),
                expected=f"{folds}, which is split.folds",
                hint="set split.folds to it, or leave the folds out of the file to have them drawn",
            )
        check_sizes(splits)
        check_splits(splits)
    return splits


def _check_usable(splits: Splits, cases: Sequence[Case]) -> None:
    known = {case.id: case for case in cases}
    absent = [name for part in PARTS for name in getattr(splits, part) if name not in known]
    if absent:
        raise InputError(
            f"{len(absent)} cases of the split were not ingested",
            case=absent[0],
            expected=f"ids among the {len(known)} of cases.json",
            hint="correct the file, or add the cases to the cohort",
        )
    unmasked = [name for part in SCORED for name in getattr(splits, part) if not known[name].has_mask]
    if unmasked:
        raise InputError(
            f"{len(unmasked)} cases to be scored have no mask",
            case=unmasked[0],
            expected=f"masks in {', '.join(SCORED)}",
            hint="add the masks, or leave the cases out",
        )
