"""What the segmentation study consists of: training mixes, phases, cases of nnU-Net, and folds by patient."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.errors import InputError
from pre2post.core.paths import synthetic_name
from pre2post.splits.splits import Splits

SYNTHETIC = "synthetic"  # the first phase that a generator made: it trains, but never validates
FURTHER = f"{SYNTHETIC}_"  # before the name of a further one, such as synthetic_post2
STAND_IN = "post1"  # real phase that validates a mix of synthetic volumes alone: what these imitate
SEPARATOR = "__"  # between case and phase in the name of an nnU-Net case
SHARE_STREAM = 9  # number of this random stream, so that no stage draws the same numbers

Mix = Mapping[str, float]  # phase -> share of the training patients whose volume of that phase trains


def key(case_id: str, phase: str) -> str:
    """Name of one (case, phase) volume as an nnU-Net case."""
    return f"{case_id}{SEPARATOR}{phase}"


def case_of(name: str) -> str:
    """The patient behind an nnU-Net case: the inverse of `key`."""
    return name.rpartition(SEPARATOR)[0]


def is_synthetic(phase: str) -> bool:
    """Whether a generator made this phase."""
    return phase == SYNTHETIC or phase.startswith(FURTHER)


def imitated(phase: str) -> str:
    """The real phase that a synthetic one imitates."""
    return STAND_IN if phase == SYNTHETIC else phase.removeprefix(FURTHER)


def validation_phases(shares: Mix) -> list[str]:
    """Phases that validate a mix: its real ones, or those that its synthetic ones imitate."""
    return [phase for phase in shares if not is_synthetic(phase)] or [imitated(phase) for phase in shares]


def phases_needed(mixes: Mapping[str, Mix], train: Iterable[str]) -> list[str]:
    """Every phase that any trained mix trains on or is validated with, sorted, so that the order never matters."""
    return sorted({phase for name in train for phase in (*mixes[name], *validation_phases(mixes[name]))})


def fold_keys(shares: Mix, splits: Splits, fold: int, seed: int) -> dict[str, list[str]]:
    """nnU-Net's split of one fold: {"train": [...], "val": [...]}.

    The unit is the patient over all phases: a share of the training patients trains in each phase, the fold's own
    patients validate in the real ones. Patients come in one random order, the same for every phase, fold and mix:
    those of a smaller share are among those of a larger one. Raises InputError when one side of the fold, or a phase's
    share, is empty.
    """
    held_out = set(splits.folds[fold])
    training = [patient for patient in _shuffled(splits.in_folds, seed) if patient not in held_out]
    if not training or not held_out:
        raise InputError(
            f"fold {fold} has no patient to {'train' if held_out else 'validate'} with",
            found=f"{len(training)} to train, {len(held_out)} to validate",
            hint="lower split.folds",
        )
    return {
        "train": sorted(
            key(patient, phase) for phase, share in shares.items() for patient in _take(training, phase, share)
        ),
        "val": sorted(key(patient, phase) for patient in held_out for phase in validation_phases(shares)),
    }


def mix_folds(shares: Mix, splits: Splits, seed: int) -> list[dict[str, list[str]]]:
    """fold_keys() of every fold: nnU-Net's splits_final.json of a mix."""
    return [fold_keys(shares, splits, fold, seed) for fold in range(len(splits.folds))]


def baseline_of(mix: str, mixes: Mapping[str, Mix], train: Sequence[str]) -> str | None:
    """The trained mix that a mix is compared with: the same without the phase that it lists last.

    So pre + synthetic is compared with pre, and pre + post + synthetic with pre + post. Synthetic volumes alone are
    compared with the real ones that they imitate. None where that was not trained, and for one real phase.
    """
    shares = dict(mixes[mix])
    if all(map(is_synthetic, shares)):
        wanted = {imitated(phase): share for phase, share in shares.items()}
    else:
        shares.popitem()
        wanted = shares
    return next((name for name in train if mixes[name] == wanted), None)


def domain_of(group: str, phase: str) -> str:
    """Name of a test domain: a phase of a group of patients."""
    return f"{group}_{phase}"


def split_and_phase(domain: str) -> tuple[str, str]:
    """The inverse of `domain_of`: "test" and "post1" of "test_post1"."""
    group, _, phase = domain.partition("_")
    return group, phase


def fold_folder(segmenters: Path, mix: str, fold: int) -> Path:
    """Where one training leaves what it learned."""
    return segmenters / f"{mix}_{fold}"


def volume_file(case: Case, phase: str, synthetic: Path) -> Path:
    """Where a phase of a case lies on disk. Raises InputError naming the case when it has no such phase."""
    if not is_synthetic(phase):
        return case.path(phase)
    file = synthetic / synthetic_name(case.id, "" if phase == SYNTHETIC else imitated(phase))
    if not file.is_file():
        raise InputError("the synthetic volume is missing", case=case.id, file=file, hint="run `dvc repro synthesize`")
    return file


def _shuffled(patients: Sequence[str], seed: int) -> list[str]:
    order = np.random.default_rng([seed, SHARE_STREAM]).permutation(len(patients))
    return [patients[place] for place in order]


def _take(patients: Sequence[str], phase: str, share: float) -> Sequence[str]:
    """The first of the patients, a share of them, rounded."""
    taken = patients[: round(share * len(patients))]
    if not taken:
        raise InputError(
            f"this share of {phase} leaves no case to train with",
            found=f"{share:g} of {len(patients)} patients",
            expected=f"more than {0.5 / len(patients):.2g}",
            hint="raise it under segmentation.mixes",
        )
    return taken
