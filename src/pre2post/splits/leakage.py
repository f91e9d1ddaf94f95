"""The guard against leakage: refuse to score patients used for training, even under another id."""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pre2post.cohort.case import Case, find_cases, read_cases
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.errors import InputError
from pre2post.splits.splits import SCORED, SPLIT_NAMES, Splits, read_splits

MAX_SHOWN = 3  # cases in a message


def read_study(splits_file: Path, volumes: Path) -> tuple[Splits, list[Case]]:
    """Read the splits and the cases. Raises InputError as read_splits, read_cases and check_leakage do."""
    splits, cases = read_splits(splits_file), read_cases(volumes)
    check_leakage(splits, cases)
    return splits, cases


def check_leakage(splits: Splits, cases: Sequence[Case]) -> None:
    """Raise InputError if two splits, or two folds, share a patient, an examination or its pixels.

    Raise it also if a case of the splits was not ingested.
    """
    _check_unshared({name: find_cases(splits.members(name), cases) for name in SPLIT_NAMES})
    _check_unshared({f"fold {number}": find_cases(fold, cases) for number, fold in enumerate(splits.folds)})


def check_unseen(splits: Splits, cases: Sequence[Case], trained_on: Collection[str] | None, weights: Path) -> None:
    """Raise InputError if a patient to be scored has a digest in `trained_on`; warn if it is None (unknown)."""
    if trained_on is None:
        print(
            f"warning: {weights} does not list its training patients, so scores may include patients it was trained on",
            file=sys.stderr,
        )
        return
    found = []
    for name in SCORED:
        members = find_cases(splits.members(name), cases)
        seen = [case.id for case in members if digest(patient_of(case)) in trained_on]
        if seen:
            shown = ", ".join(seen[:MAX_SHOWN]) + (", ..." if len(seen) > MAX_SHOWN else "")
            found.append(f"{len(seen)} of {len(members)} in {name} ({shown})")
    if found:
        raise InputError(
            "these weights were trained on patients to be scored",
            file=weights,
            found="; ".join(found),
            expected="no training patient in validation, test and external",
            hint="use other weights, or the split of their training: split.strategy=published for the released weights",
        )


def _check_unshared(groups: Mapping[str, Sequence[Case]]) -> None:
    owners: dict[tuple[str, str], tuple[str, Case]] = {}
    for name, members in groups.items():
        for case in members:
            for mark in _marks(case):
                other_name, other = owners.setdefault(mark, (name, case))
                if other_name != name:
                    raise InputError(
                        f"two cases in different splits share {mark[0]}",
                        case=case.id,
                        found=f"{other.id} in {other_name} and {case.id} in {name}: {mark[0]} {mark[1]}",
                        expected="both in the same split or fold",
                        hint="leave one of the two out of the cohort, or list both under one patient, and run `dvc "
                        "repro split`; for split.strategy file, correct that file",
                    )


def _marks(case: Case) -> list[tuple[str, str]]:
    """Return what identifies an examination, by name; messages report the first that is shared."""
    marks = [("the patient", patient_of(case)), ("the study", case.study), ("the pixels", case.pixels)]
    return [(word, value) for word, value in marks if value]
