"""The splits of a cohort: generator training, validation with folds, test and external."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pre2post.core.errors import InputError, error_context
from pre2post.core.files import read_json, write_json

TEST_SPLITS = ("test", "external")  # whose patients train and select nothing
SPLIT_NAMES = ("gan_train", "validation", *TEST_SPLITS)
SCORED = SPLIT_NAMES[1:]  # splits whose synthetic volumes are scored: their patients must not train the generator


@dataclass(frozen=True)
class Splits:
    """Sorted case ids of each split; segmentation fold k validates on folds[k] and trains on the other folds.

    validation: selects the generator, and trains and validates the segmenters in `folds`.
    folds: each validation case once, except those in `multifocal`, of patients with several lesions.
    """

    gan_train: list[str]
    validation: list[str]
    test: list[str]
    external: list[str]
    folds: list[list[str]]
    multifocal: list[str] = field(default_factory=list)

    @property
    def in_folds(self) -> list[str]:
        """Return the cases that train or validate a segmenter, sorted."""
        return sorted(case for fold in self.folds for case in fold)

    def members(self, name: str) -> list[str]:
        """Return the cases of one of SPLIT_NAMES."""
        return list(getattr(self, name))

    def __str__(self) -> str:
        folds = f"{len(self.in_folds)} in {len(self.folds)} folds, {len(self.multifocal)} multifocal left out"
        return (
            f"{len(self.gan_train)} generator training, {len(self.validation)} validation ({folds}), "
            f"{len(self.test)} test, {len(self.external)} external"
        )


def check_splits(splits: Splits) -> None:
    """Raise InputError if a case is in two splits or folds, or the folds do not partition the validation split."""
    _check_disjoint({name: splits.members(name) for name in SPLIT_NAMES})
    _check_disjoint(
        {f"fold {number}": fold for number, fold in enumerate(splits.folds)} | {"multifocal": splits.multifocal}
    )
    odd = set(splits.validation) ^ {*splits.in_folds, *splits.multifocal}
    if odd:
        raise InputError(
            "the folds are not a partition of the validation split",
            case=min(odd),
            found=f"{len(odd)} cases in the validation split or in the folds, but not in both",
            expected="each validation case in one fold or multifocal",
            hint="run `dvc repro split` to create the split again",
        )


def check_sizes(splits: Splits) -> None:
    """Raise InputError if generator training, the test split or a fold is empty."""
    if not splits.gan_train:
        raise InputError(
            "no patient is left to train the generator",
            expected="at least one",
            found="no patient without a mask outside the external site",
            hint="set split.gan_fraction above 0, or choose another split.external_site",
        )
    if not splits.test or not all(splits.folds):
        raise InputError(
            "too few masked patients for the folds and the test split",
            found=f"{len(splits.in_folds)} for the folds, {len(splits.test)} for the test split, and "
            f"{len(splits.multifocal)} multifocal left out",
            expected=f"at least {len(splits.folds)} for the folds, one per fold, and one for the test split",
            hint="add masked patients, or lower split.folds or split.test_fraction",
        )


def write_splits(path: Path, splits: Splits) -> None:
    """Check the splits and write them as JSON. Raises InputError as check_splits does."""
    check_splits(splits)
    write_json(path, asdict(splits))


def read_splits(path: Path) -> Splits:
    """Read and check the splits. Raises InputError for a missing or damaged file, and as check_splits does."""
    with error_context(file=path):
        splits = parse_splits(read_json(path))
        check_splits(splits)
    return splits


def parse_splits(content: object) -> Splits:
    """Convert the content of a JSON file to splits with sorted lists. Raises InputError if it is not splits."""
    try:
        if not isinstance(content, Mapping):
            raise TypeError("not a JSON object")
        lists = {field.name: content[field.name] for field in fields(Splits)}
        folds = lists.pop("folds")
        if not all(
            isinstance(cases, list) and all(isinstance(case, str) for case in cases)
            for cases in (*lists.values(), *folds)
        ):
            raise TypeError("ids that are not strings in lists")
        return Splits(**{name: sorted(cases) for name, cases in lists.items()}, folds=[*map(sorted, folds)])
    except (KeyError, TypeError) as error:
        raise InputError(
            "these are not splits",
            found=f"no key {error}" if isinstance(error, KeyError) else str(error),
            expected=", ".join(field.name for field in fields(Splits)),
            hint="run `dvc repro split`",
        ) from None


def _check_disjoint(groups: Mapping[str, Sequence[str]]) -> None:
    owner: dict[str, str] = {}
    for name, cases in groups.items():
        for case in cases:
            if case in owner:
                raise InputError(
                    "a case is in two splits or folds",
                    case=case,
                    found=f"in {owner[case]} and in {name}",
                    expected="in one",
                    hint="run `dvc repro split` to create the split again",
                )
            owner[case] = name
