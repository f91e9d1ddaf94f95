"""Folds by patient: which volumes of a training mix train and validate each fold."""

from collections.abc import Sequence

import numpy as np

from pre2post.core.errors import InputError
from pre2post.segmentation.design import Mix, validation_phases
from pre2post.segmentation.nnunet import Fold, nnunet_case
from pre2post.splits.splits import Splits

FOLD_STREAM = 9  # number of this random stream; no other stage uses it


def fold_cases(mix: Mix, splits: Splits, fold: int, seed: int) -> Fold:
    """Return the nnU-Net cases that train and validate one fold.

    A patient is in one side of a fold, with all phases: of the training patients, each phase takes its fraction;
    the held-out patients validate in the real phases. The random order of patients is the same for each phase, fold
    and mix, so the patients of a smaller fraction are among those of a larger one.

    Raises InputError if one side of the fold, or the fraction of a phase, is empty.
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
            nnunet_case(patient, phase)
            for phase, fraction in mix.items()
            for patient in _take(training, phase, fraction)
        ),
        "val": sorted(nnunet_case(patient, phase) for patient in held_out for phase in validation_phases(mix)),
    }


def mix_folds(mix: Mix, splits: Splits, seed: int) -> list[Fold]:
    """Return `fold_cases` of every fold, the content of nnU-Net's splits_final.json."""
    return [fold_cases(mix, splits, fold, seed) for fold in range(len(splits.folds))]


def _shuffled(patients: Sequence[str], seed: int) -> list[str]:
    order = np.random.default_rng([seed, FOLD_STREAM]).permutation(len(patients))
    return [patients[place] for place in order]


def _take(patients: Sequence[str], phase: str, fraction: float) -> Sequence[str]:
    """Return the first patients, as many as the fraction gives, rounded."""
    taken = patients[: round(fraction * len(patients))]
    if not taken:
        raise InputError(
            f"this fraction of {phase} leaves no patient to train with",
            found=f"{fraction:g} of {len(patients)} patients",
            expected=f"more than {0.5 / len(patients):.2g}",
            hint="raise it in segmentation.mixes",
        )
    return taken
