"""Divides the patients into generator training, validation with its folds, test and external cohort."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pre2post.cohort.case import Case, read_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_table, write_table
from pre2post.core.paths import COHORT, PLOTS, SPLITS, VOLUMES
from pre2post.pipeline.params import Params, load_params
from pre2post.splits.leakage import check_leakage
from pre2post.splits.published_split import published_splits
from pre2post.splits.random_split import make_splits
from pre2post.splits.split_file import splits_from_file
from pre2post.splits.splits import Splits, write_splits

ROLES = {"gan_train": "generator training", "validation": "validation", "test": "test", "external": "external"}


def main() -> None:
    params, cases = load_params(), read_cases(VOLUMES)
    splits = choose_split(params, cases)
    check_leakage(splits, cases)
    write_splits(SPLITS, splits)
    write_table(PLOTS / "cohort.csv", with_roles(read_table(COHORT), splits))
    print(f"{params.split.source} split of {len(cases)} cases: {splits}")


def choose_split(params: Params, cases: Sequence[Case]) -> Splits:
    """The split that split.source names."""
    settings = params.split
    if settings.source == "published":
        return published_splits(cases, settings.external_site, settings.folds, settings.multifocal)
    if settings.source == "file":
        return splits_from_file(Path(settings.file), cases, params.seed, settings.folds, settings.multifocal)
    return make_splits(cases, params.seed, settings.external_site, settings.test_share, settings.folds,
                       settings.multifocal, settings.generator_share, settings.source == "listed")


def with_roles(rows: Sequence[Mapping[str, str]], splits: Splits) -> list[dict[str, str]]:
    """The lines of the cohort table with the part that each case has in the study; whoever has none is "unused"."""
    roles = {case: role for part, role in ROLES.items() for case in getattr(splits, part)}
    return [{**row, "role": roles.get(row["case"], "unused" if row["status"] == "used" else row["status"])}
            for row in rows]


if __name__ == "__main__":
    run_stage(main)
