"""Segment the test and external patients with the fold ensemble of each mix, and compare the masks per domain."""

from pre2post.cohort.case import find_cases
from pre2post.core.device import torch_workers
from pre2post.core.errors import run_stage
from pre2post.core.files import write_tracked_table
from pre2post.core.paths import METRICS, PLOTS, PREDICTIONS, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.evaluation.primary import primary_rows
from pre2post.evaluation.segmentation import (
    SegmentationEvaluationParams,
    evaluate,
    find_threshold,
    list_tasks,
    load_predictors,
)
from pre2post.evaluation.segmentation_table import gain_rows, statistics_rows, summary
from pre2post.pipeline.provenance import write_metrics
from pre2post.segmentation.design import THRESHOLD, comparisons, domain_of
from pre2post.segmentation.nnunet import atomic_folder
from pre2post.splits.leakage import read_study
from pre2post.splits.splits import TEST_SPLITS


def main() -> None:
    params = SegmentationEvaluationParams.read()
    segmentation, (splits, cases) = params.segmentation, read_study(SPLITS, VOLUMES)
    tasks = list_tasks(segmentation, splits, cases)
    predictors = load_predictors(params, splits)
    threshold = find_threshold(find_cases(splits.validation, cases))
    rows, pieces = [], []
    with atomic_folder(PREDICTIONS) as folder, torch_workers(segmentation.threads) as pool:
        for domain, case, phase in progress(tasks, "evaluate_segmentation", unit="volume"):
            measured, found = evaluate(case, phase, domain, predictors, threshold, params, folder, pool)
            rows += measured
            pieces += found
    order = [THRESHOLD, *segmentation.train]
    domains = [domain_of(split, phase) for split in TEST_SPLITS for phase in segmentation.test_phases]
    for found in (rows, pieces):
        found.sort(key=lambda row: (order.index(row["mix"]), domains.index(row["domain"])))

    statistics = statistics_rows(rows, params.statistics, params.seed)
    gains = gain_rows(rows, comparisons(segmentation.mixes, segmentation.train), params.statistics, params.seed)
    primary = primary_rows(rows, params.statistics, params.seed)
    tables = {"": rows, "_pieces": pieces, "_statistics": statistics, "_gains": gains, "_primary": primary}
    for name, table in tables.items():
        write_tracked_table(PLOTS / f"segmentation{name}.csv", table)
    short = summary(statistics, gains, primary)
    write_metrics(METRICS / "segmentation.json", short | {"threshold_level": threshold})
    for mix in (mix for mix in order if mix in short):
        print(f"{mix:20}" + "  ".join(f"{domain} {cell['dice']:.3f}" for domain, cell in short[mix].items()))


if __name__ == "__main__":
    run_stage(main)
