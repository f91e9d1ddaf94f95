"""Compare synthetic with real post-contrast volumes, per patient and as sets of slices, next to the baselines."""

from pre2post.cohort.case import Case, find_cases
from pre2post.core.device import best_device
from pre2post.core.errors import run_stage
from pre2post.core.files import write_tracked_table
from pre2post.core.paths import METRICS, PLOTS, SPLITS, VOLUMES
from pre2post.evaluation.synthesis import SynthesisEvaluationParams, evaluate, make_references
from pre2post.evaluation.synthesis_table import (
    Value,
    distance_table,
    gain_rows,
    patient_rows,
    split_table,
    statistics_rows,
)
from pre2post.metrics.extractors import make_extractors, perceptual_metric
from pre2post.pipeline.provenance import write_metrics
from pre2post.splits.leakage import read_study
from pre2post.splits.splits import TEST_SPLITS

EVALUATION_STREAM = 7  # number of this random stream; no other stage uses it


def main() -> None:
    params = SynthesisEvaluationParams.read()
    splits, cases = read_study(SPLITS, VOLUMES)
    references = make_references(params, find_cases(splits.validation, cases))
    extractors = make_extractors(params.metrics, params.seed, best_device())
    perceptual = perceptual_metric(params.metrics, best_device())
    members: dict[str, list[Case]] = {}
    values: list[Value] = []
    distances: dict[str, list[dict]] = {}
    for reference in references:
        for name in TEST_SPLITS:
            split = reference.split_name(name)
            members[split] = find_cases(getattr(splits, name), cases)
            found, distances[split] = evaluate(split, members[split], reference, extractors, perceptual, params)
            values += found
    statistics = statistics_rows(values, params.statistics, [params.seed, EVALUATION_STREAM])
    gains = gain_rows(values, params.statistics, [params.seed, EVALUATION_STREAM])
    for note in sorted({f"{row['split']}: {row['note']}" for row in statistics if row["note"]}):
        print(note)
    tables = {
        "synthesis": patient_rows(values, "post"),
        "synthesis_subtraction": patient_rows(values, "subtraction"),
        "synthesis_statistics": statistics,
        "synthesis_gains": gains,
        "synthesis_distances": [{"split": split, **row} for split in members for row in distances[split]],
    }
    for name, rows in tables.items():
        write_tracked_table(PLOTS / f"{name}.csv", rows)
    write_metrics(
        METRICS / "synthesis.json",
        {
            split: split_table(split, len(members[split]), statistics, gains) | distance_table(distances[split])
            for split in members
        },
    )


if __name__ == "__main__":
    run_stage(main)
