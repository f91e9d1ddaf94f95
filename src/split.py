"""Split the patients into generator training, validation with folds, test and external."""

from pre2post.cohort.case import read_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_table, write_tracked_table
from pre2post.core.paths import COHORT, PLOTS, SPLITS, VOLUMES
from pre2post.splits.choose import SplitStageParams, choose_split, with_roles
from pre2post.splits.leakage import check_leakage
from pre2post.splits.splits import write_splits


def main() -> None:
    params, cases = SplitStageParams.read(), read_cases(VOLUMES)
    splits = choose_split(params, cases)
    check_leakage(splits, cases)
    write_splits(SPLITS, splits)
    write_tracked_table(PLOTS / "cohort.csv", with_roles(read_table(COHORT), splits))
    print(f"{params.split.strategy} split of {len(cases)} cases: {splits}")


if __name__ == "__main__":
    run_stage(main)
