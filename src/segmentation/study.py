"""What the segmentation study consists of: training settings, phases, cases of nnU-Net, and folds by patient."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cohort.case import Case
from cohort.splits import Splits
from pipeline.errors import InputError

SYNTHETIC = "synthetic"       # the phase that a generator made: it trains, but never validates
STAND_IN = "post1"            # real phase that validates a setting of synthetic volumes alone: what these imitate
SEPARATOR = "__"              # between case and phase in the name of an nnU-Net case


def key(case_id: str, phase: str) -> str:
    """Name of one (case, phase) volume as an nnU-Net case."""
    return f"{case_id}{SEPARATOR}{phase}"


def case_of(name: str) -> str:
    """The patient behind an nnU-Net case: the inverse of `key`."""
    return name.rpartition(SEPARATOR)[0]


def validation_phases(phases: Sequence[str]) -> list[str]:
    """Phases that validate a setting: its real ones, or the real post-contrast phase where it has none."""
    return [phase for phase in phases if phase != SYNTHETIC] or [STAND_IN]


def phases_needed(settings: Mapping[str, Sequence[str]], train: Iterable[str]) -> list[str]:
    """Every phase that any trained setting trains on or is validated with, sorted, so that the order never matters."""
    return sorted({phase for name in train for phase in (*settings[name], *validation_phases(settings[name]))})


def fold_keys(phases: Sequence[str], splits: Splits, fold: int) -> dict[str, list[str]]:
    """nnU-Net's split of one fold: {"train": [...], "val": [...]}.

    The unit is the patient over all phases: every phase of a training patient trains, real phases of the fold's other
    patients validate. Raises InputError when there is no such fold, or when one side of it is empty.
    """
    check_fold(fold, splits)
    held_out = set(splits.folds[fold])
    training = [patient for patient in splits.validation if patient not in held_out]
    if not training or not held_out:
        raise InputError(f"fold {fold} has no patient to {'train' if held_out else 'validate'} with",
                         found=f"{len(training)} to train, {len(held_out)} to validate", todo="lower split.folds")
    return {"train": sorted(key(patient, phase) for patient in training for phase in dict.fromkeys(phases)),
            "val": sorted(key(patient, phase) for patient in held_out for phase in validation_phases(phases))}


def check_fold(fold: int, splits: Splits) -> None:
    """Raises InputError unless the splits have this fold."""
    if not 0 <= fold < len(splits.folds):
        raise InputError("there is no such fold", found=fold, expected=f"0 to {len(splits.folds) - 1}",
                         todo="choose another segmentation.folds, or raise split.folds")


def baseline_of(setting: str, settings: Mapping[str, Sequence[str]], train: Sequence[str]) -> str | None:
    """The trained setting with the same phases but the synthetic one; None where there is none."""
    phases = set(settings[setting])
    if SYNTHETIC not in phases:
        return None
    return next((name for name in train if set(settings[name]) == phases - {SYNTHETIC}), None)


def volume_file(case: Case, phase: str, synthetic: Path) -> Path:
    """Where a phase of a case lies on disk. Raises InputError naming the case when it has no such phase."""
    if phase != SYNTHETIC:
        return case.path(phase)
    file = synthetic / f"{case.id}.nii.gz"
    if not file.is_file():
        raise InputError("the synthetic volume is missing", case=case.id, file=file, todo="run `dvc repro synthesize`")
    return file
