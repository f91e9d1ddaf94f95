"""Choose the split by split.strategy, and list the role of each case in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pre2post.cohort.case import Case
from pre2post.core.section import Seed, StageParams
from pre2post.splits.params import SplitParams
from pre2post.splits.published_split import published_splits
from pre2post.splits.random_split import random_splits
from pre2post.splits.split_file import splits_from_file
from pre2post.splits.splits import Splits

ROLES = {"gan_train": "generator training", "validation": "validation", "test": "test", "external": "external"}


class SplitStageParams(StageParams):
    """The parameters of the stage split."""

    seed: Seed
    split: SplitParams


def choose_split(params: SplitStageParams, cases: Sequence[Case]) -> Splits:
    """Return the split that split.strategy names."""
    settings = params.split
    if settings.strategy == "published":
        return published_splits(cases, settings.external_site, settings.folds, settings.multifocal)
    if settings.strategy == "file":
        return splits_from_file(Path(settings.file), cases, params.seed, settings.folds, settings.multifocal)
    return random_splits(
        cases,
        params.seed,
        settings.external_site,
        settings.test_fraction,
        settings.folds,
        settings.multifocal,
        settings.gan_fraction,
        predefined_test=settings.strategy == "predefined",
    )


def with_roles(rows: Sequence[Mapping[str, str]], splits: Splits) -> list[dict[str, str]]:
    """Add the column "role" to the cohort table: the role in the split, "unused", or the status of unusable cases."""
    roles = {case: role for name, role in ROLES.items() for case in splits.members(name)}
    return [
        {**row, "role": roles.get(row["case"], "unused" if row["status"] == "used" else row["status"])} for row in rows
    ]
