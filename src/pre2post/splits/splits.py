"""Which patients train the generator, select it and train the segmentation, test it, or stand outside."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pre2post.core.errors import InputError, error_context
from pre2post.core.files import read_json, write_json

PARTS = ("gan_train", "validation", "test", "external")
SCORED = PARTS[1:]  # whose synthetic volumes are made and measured: nobody of them may have trained the generator


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

    def __str__(self) -> str:
        folds = f"{len(self.in_folds)} in {len(self.folds)} folds, {len(self.multifocal)} with several lesions left out"
        return (
            f"{len(self.gan_train)} train the generator, {len(self.validation)} validate ({folds}), "
            f"{len(self.test)} test, {len(self.external)} external"
        )


def check_splits(splits: Splits) -> None:
    """Asserts that no patient is in two parts or two folds, and that every validation patient is in one or left out."""
    _refuse_repeats({name: getattr(splits, name) for name in PARTS})
    _refuse_repeats(
        {f"fold {number}": fold for number, fold in enumerate(splits.folds)} | {"those left out": splits.multifocal}
    )
    odd = set(splits.validation) ^ {*splits.in_folds, *splits.multifocal}
    if odd:
        raise InputError(
            "the folds are not a partition of the validation patients",
            case=min(odd),
            hint="run `dvc repro split` to make them again",
        )


def check_sizes(splits: Splits) -> None:
    """Raises InputError when a part that the pipeline cannot do without is empty, or a fold."""
    if not splits.gan_train:
        raise InputError(
            "nobody is left to train the generator",
            expected="at least one",
            found="no patient without a mask outside the external site",
            hint="set split.gan_fraction above 0, or choose another split.external_site",
        )
    if not splits.test or not all(splits.folds):
        raise InputError(
            "too few masked patients for the folds and the test",
            found=f"{len(splits.in_folds)} for validation and {len(splits.test)} for the test, and "
            f"{len(splits.multifocal)} with several lesions, left out",
            expected=f"at least {len(splits.folds)} for validation, one a fold, and one for the test",
            hint="add masked patients, or lower split.folds or split.test_fraction",
        )


def write_splits(path: Path, splits: Splits) -> None:
    """Writes the splits as JSON, refusing any in which a patient is in two parts."""
    check_splits(splits)
    write_json(path, asdict(splits))


def read_splits(path: Path) -> Splits:
    """Reads and checks the splits. Raises InputError when the file is missing, damaged or has a patient twice."""
    with error_context(file=path):
        splits = parse_splits(read_json(path))
        check_splits(splits)
    return splits


def parse_splits(content) -> Splits:
    """The splits in what a JSON file holds, each list sorted. Raises InputError where it is something else."""
    try:
        lists = {field.name: content[field.name] for field in fields(Splits)}
        folds = lists.pop("folds")
        if not all(
            isinstance(own, list) and all(isinstance(name, str) for name in own) for own in (*lists.values(), *folds)
        ):
            raise TypeError("list: ids must be texts in lists")
        splits = Splits(**{name: sorted(own) for name, own in lists.items()}, folds=[*map(sorted, folds)])
    except (KeyError, TypeError) as error:
        raise InputError(
            "these are not splits",
            found=f"no usable {error}",
            expected=", ".join(field.name for field in fields(Splits)),
            hint="run `dvc repro split`",
        ) from None
    return splits


def _refuse_repeats(parts: dict[str, list[str]]) -> None:
    owner: dict[str, str] = {}
    for name, patients in parts.items():
        for patient in patients:
            if patient in owner:
                raise InputError(
                    "a patient is in two parts of the split",
                    case=patient,
                    found=f"in {owner[patient]} and in {name}",
                    expected="in one",
                    hint="run `dvc repro split` to make the split again",
                )
            owner[patient] = name
