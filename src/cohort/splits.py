"""Which patients train the generator, select it and train the segmentation, test it, or stand outside."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from cohort.case import Case
from pipeline.errors import InputError
from pipeline.files import read_json, write_json

SPLIT_STREAM = 1  # number of this stage's random stream, so that no other stage draws the same numbers


@dataclass(frozen=True)
class Splits:
    """Case ids of each part, sorted; fold k of the segmentation validates on folds[k] and trains on the others.

    The folds hold each patient of `validation` once, but for the `multifocal` ones where these are left out.
    """

    gan_train: list[str]
    validation: list[str]
    test: list[str]
    external: list[str]
    folds: list[list[str]]
    multifocal: list[str] = field(default_factory=list)

    @property
    def in_folds(self) -> list[str]:
        """Whoever trains or validates the segmentation, sorted."""
        return sorted(patient for fold in self.folds for patient in fold)


def make_splits(cases: Sequence[Case], seed: int, external_site: str, test_share: float, folds: int,
                multifocal: str = "leave_out") -> Splits:
    """Splits by patient, as the published study did: whoever has no mask trains the generator.

    Masked patients of `external_site` are the external cohort, and its unmasked ones are used nowhere, so that the site
    stays unseen. Of the other masked patients `test_share`, at least one, are the test set; the rest are validation.
    Of these, whoever has more than one lesion is in no fold where `multifocal` is "leave_out", as published.
    The result depends on the ids, not on their order. Raises InputError when a part would be empty or too small.
    """
    inside = [case for case in cases if case.site != external_site]
    masked = sorted(case.id for case in inside if case.has_mask)
    drawn = [masked[i] for i in np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(masked))]
    tested = max(1, round(test_share * len(drawn)))
    test, validation = drawn[:tested], drawn[tested:]
    many = {case.id for case in inside if case.lesions > 1} if multifocal == "leave_out" else set()
    single = [case for case in validation if case not in many]
    splits = Splits(
        gan_train=sorted(case.id for case in inside if not case.has_mask),
        validation=sorted(validation),
        test=sorted(test),
        external=sorted(case.id for case in cases if case.site == external_site and case.has_mask),
        folds=[sorted(single[k::folds]) for k in range(folds)],
        multifocal=sorted(many.intersection(validation)))
    _check_sizes(splits)
    check_splits(splits)
    return splits


def check_splits(splits: Splits) -> None:
    """Asserts that no patient is in two parts or two folds, and that every validation patient is in one or left out."""
    _refuse_repeats({name: getattr(splits, name) for name in ("gan_train", "validation", "test", "external")})
    _refuse_repeats({f"fold {number}": fold for number, fold in enumerate(splits.folds)}
                    | {"those left out": splits.multifocal})
    odd = set(splits.validation) ^ {*splits.in_folds, *splits.multifocal}
    if odd:
        raise InputError("the folds are not a partition of the validation patients", case=min(odd),
                         todo="run `dvc repro split` to make them again")


def write_splits(path: Path, splits: Splits) -> None:
    """Writes the splits as JSON, refusing any in which a patient is in two parts."""
    check_splits(splits)
    write_json(path, asdict(splits))


def read_splits(path: Path) -> Splits:
    """Reads and checks the splits. Raises InputError when the file is missing, damaged or has a patient twice."""
    content = read_json(path)
    try:
        splits = Splits(**{field.name: content[field.name] for field in fields(Splits)})
    except (KeyError, TypeError) as error:
        raise InputError("these are not splits", file=path, found=f"no usable {error}",
                         expected=", ".join(field.name for field in fields(Splits)),
                         todo="run `dvc repro split`") from None
    check_splits(splits)
    return splits


def _check_sizes(splits: Splits) -> None:
    if not splits.gan_train:
        raise InputError("nobody is left to train the generator", expected="at least one",
                         found="no patient without a mask outside the external site",
                         todo="leave some masks out of cases.csv, or choose another split.external_site")
    if len(splits.in_folds) < len(splits.folds):
        raise InputError("too few masked patients for the folds",
                         found=f"{len(splits.in_folds)} for validation and {len(splits.test)} for the test, and "
                               f"{len(splits.multifocal)} with several lesions, left out",
                         expected=f"at least {len(splits.folds)} for validation, one a fold",
                         todo="add masked patients, or lower split.folds or split.test_share")


def _refuse_repeats(parts: dict[str, list[str]]) -> None:
    owner: dict[str, str] = {}
    for name, patients in parts.items():
        for patient in patients:
            if patient in owner:
                raise InputError("a patient is in two parts of the split", case=patient,
                                 found=f"in {owner[patient]} and in {name}", expected="in one",
                                 todo="run `dvc repro split` to make the split again")
            owner[patient] = name
