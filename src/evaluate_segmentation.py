"""Segment the test and external patients with the fold ensemble of each mix, and compare the masks per domain."""

from pre2post.core.device import torch_workers
from pre2post.core.errors import run_stage
from pre2post.core.files import write_tracked_table
from pre2post.core.paths import METRICS, PLOTS, PREDICTIONS, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.evaluation.segmentation import SegmentationEvaluationParams, evaluate, list_tasks, load_predictors
from pre2post.evaluation.segmentation_table import gain_rows, statistics_rows, summary
from pre2post.pipeline.provenance import write_metrics
from pre2post.segmentation.design import baseline_of
from pre2post.segmentation.nnunet import atomic_folder
from pre2post.splits.leakage import read_study


def main() -> None:
    params = SegmentationEvaluationParams.read()
    segmentation, (splits, cases) = params.segmentation, read_study(SPLITS, VOLUMES)
    tasks = list_tasks(segmentation, splits, cases)
    predictors = load_predictors(params, splits)
    with atomic_folder(PREDICTIONS) as folder, torch_workers(segmentation.threads) as pool:
        rows = [
            row
            for domain, case, phase in progress(tasks, "evaluate_segmentation", unit="volume")
            for row in evaluate(case, phase, domain, predictors, params, folder, pool)
        ]
    rows.sort(key=lambda row: segmentation.train.index(row["mix"]))
    write_tracked_table(PLOTS / "segmentation.csv", rows)

    statistics = statistics_rows(rows, params.statistics, params.seed)
    baselines = {mix: baseline_of(mix, segmentation.mixes, segmentation.train) for mix in segmentation.train}
    gains = gain_rows(rows, baselines, params.statistics, params.seed)
    write_tracked_table(PLOTS / "segmentation_statistics.csv", statistics)
    write_tracked_table(PLOTS / "segmentation_gains.csv", gains)
    found = summary(statistics, gains)
    write_metrics(METRICS / "segmentation.json", found)
    for mix in segmentation.train:
        print(f"{mix:20}" + "  ".join(f"{domain} {cell['dice']:.3f}" for domain, cell in found[mix].items()))


if __name__ == "__main__":
    run_stage(main)
