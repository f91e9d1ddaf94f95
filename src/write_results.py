"""Write metrics/headline.json and docs/results.md from the metrics and tables of the stages before."""

from pre2post.core.errors import run_stage
from pre2post.core.files import atomic_path, read_json, read_table
from pre2post.core.paths import METRICS, PLOTS, RESULTS_PAGE
from pre2post.pipeline.provenance import write_metrics
from pre2post.report.headline import headline
from pre2post.report.results import Results
from pre2post.report.results_page import results_page

TABLES = (
    "cohort",
    "froc",
    "same_stability",
    "segmentation_gains",
    "segmentation_primary",
    "synthesis_distances",
    "synthesis_gains",
    "synthesis_statistics",
    "trainings",
)
FILES = ("detection", "same", "same_dice", "segmentation", "synthesis")


def main() -> None:
    results = read_results()
    metrics, tables = results.metrics, results.tables
    write_metrics(
        METRICS / "headline.json", headline(metrics["same"], tables["synthesis_statistics"], metrics["segmentation"])
    )
    with atomic_path(RESULTS_PAGE) as temporary:
        temporary.write_text(results_page(results), encoding="utf-8")


def read_results() -> Results:
    return Results(
        {name: read_table(PLOTS / f"{name}.csv") for name in TABLES},
        {name: read_json(METRICS / f"{name}.json") for name in FILES},
    )


if __name__ == "__main__":
    run_stage(main)
