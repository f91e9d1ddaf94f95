"""Divides the patients into generator training, validation with its folds, test and external cohort."""

from cohort.case import read_cases
from cohort.splits import make_splits, write_splits
from pipeline.errors import run_stage
from pipeline.params import load_params
from pipeline.paths import SPLITS, VOLUMES


def main() -> None:
    params = load_params()
    splits = make_splits(read_cases(VOLUMES), params.seed, params.split.external_site, params.split.test_share,
                         params.split.folds, params.split.multifocal)
    write_splits(SPLITS, splits)


if __name__ == "__main__":
    run_stage(main)
