"""The guard against leakage: nobody is scored who trained something, under whatever name."""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pre2post.cohort.case import Case, find_cases, read_cases
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.errors import InputError
from pre2post.splits.splits import PARTS, SCORED, Splits, read_splits

SHOWN = 3  # names in a message


def read_study(splits_file: Path, volumes: Path) -> tuple[Splits, list[Case]]:
    """The splits and the cases. Raises InputError as read_splits, read_cases and check_leakage do."""
    splits, cases = read_splits(splits_file), read_cases(volumes)
    check_leakage(splits, cases)
    return splits, cases


def check_leakage(splits: Splits, cases: Sequence[Case]) -> None:
    """Raises InputError when two parts, or two folds, share a patient, an examination or the pixels of one.

    Also when a case of the splits was not ingested.
    """
    _refuse_shared({part: find_cases(getattr(splits, part), cases) for part in PARTS})
    _refuse_shared({f"fold {number}": find_cases(fold, cases) for number, fold in enumerate(splits.folds)})


def check_unseen(splits: Splits, cases: Sequence[Case], trained_on: Collection[str] | None, weights: Path) -> None:
    """Raises InputError when someone whose digest is in `trained_on` is to be scored; None, unknown, is a warning."""
    if trained_on is None:
        print(
            f"warning: {weights} does not say who trained it, so nobody can tell whether it is scored on its own "
            "training patients",
            file=sys.stderr,
        )
        return
    found = []
    for part in SCORED:
        members = find_cases(getattr(splits, part), cases)
        seen = [case.id for case in members if digest(patient_of(case)) in trained_on]
        if seen:
            found.append(
                f"{len(seen)} of {len(members)} in {part} ({', '.join(seen[:SHOWN])}"
                f"{', ...' if len(seen) > SHOWN else ''})"
            )
    if found:
        raise InputError(
            "these weights were trained on patients who are to be scored",
            file=weights,
            found="; ".join(found),
            expected="nobody",
            hint="use weights that others trained, or a split that fits them: split.strategy=published goes "
            "with the released weights",
        )


def _refuse_shared(parts: Mapping[str, Sequence[Case]]) -> None:
    owners: dict[tuple[str, str], tuple[str, Case]] = {}
    for part, members in parts.items():
        for case in members:
            for mark in _marks(case):
                other_part, other = owners.setdefault(mark, (part, case))
                if other_part != part:
                    raise InputError(
                        f"two cases share {mark[0]} but not their part of the split",
                        case=case.id,
                        found=f"{other.id} in {other_part} and {case.id} in {part}: {mark[0]} {mark[1]}",
                        expected="both in one part",
                        hint="leave one of the two out of the cohort, or list both under one patient, and run `dvc "
                        "repro split`; where split.strategy is file, put both in one part of that file",
                    )


def _marks(case: Case) -> list[tuple[str, str]]:
    """What tells that two cases are one: the first that is shared is the one that is said."""
    marks = [("the patient", patient_of(case)), ("the study", case.study), ("the pixels", case.pixels)]
    return [(word, value) for word, value in marks if value]
