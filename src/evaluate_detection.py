"""Compare tumour detection in synthetic and real volumes, and correlate it with properties of the image."""

from pre2post.cohort.case import find_cases, read_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_table, write_tracked_table
from pre2post.core.paths import METRICS, PLOTS, VOLUMES
from pre2post.core.progress import progress
from pre2post.core.section import Seed, StageParams
from pre2post.evaluation.detection import measure_lesion, pair_domains
from pre2post.evaluation.detection_table import BOTH, IMAGES, detection_rates, property_rows, summary
from pre2post.evaluation.froc import curves, froc_rows
from pre2post.image.params import SlicesParams
from pre2post.pipeline.provenance import write_metrics
from pre2post.segmentation.design import SYNTHETIC as SYNTHETIC_PHASE
from pre2post.stats.params import StatisticsParams

DETECTION_STREAM = 10  # number of this random stream; no other stage uses it


class Params(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    slices: SlicesParams
    statistics: StatisticsParams


def main() -> None:
    params = Params.read()
    phases = dict(zip(IMAGES, (SYNTHETIC_PHASE, params.slices.phases[0]), strict=True))
    segmentation = read_table(PLOTS / "segmentation.csv")
    pairs, note = pair_domains(segmentation, phases)
    cases = find_cases(sorted({pair["case"] for pair in pairs}), read_cases(VOLUMES))
    properties = {case.id: measure_lesion(case, phases) for case in progress(cases, "evaluate_detection", unit="case")}
    rows = [
        {
            **{name: pair[name] for name in ("mix", "split", "case")},
            **properties[pair["case"]],
            **{name: pair[name] for name in pair if name.startswith(("detected", "chance", "dice"))},
        }
        for pair in pairs
        if properties[pair["case"]]
    ]
    stream = [params.seed, DETECTION_STREAM]
    rates = detection_rates(rows, params.statistics, stream)
    correlations = property_rows(rows, params.statistics, stream)
    found = froc_rows(curves(segmentation, read_table(PLOTS / "segmentation_pieces.csv")), params.statistics, stream)
    write_tracked_table(PLOTS / "detection.csv", rows)
    write_tracked_table(PLOTS / "detection_properties.csv", correlations)
    write_tracked_table(PLOTS / "froc.csv", found)
    write_metrics(METRICS / "detection.json", summary(rates, correlations) if rows else {"note": note})
    if note:
        print(note)
    for row in rates:
        if row["split"] == BOTH:
            print(
                f"{row['mix']:20}detected in {row['synthetic']:.0%} of the synthetic and {row['real']:.0%} of the "
                f"real volumes of {row['n']} patients; by chance {row['synthetic_by_chance']:.0%} and "
                f"{row['real_by_chance']:.0%}"
            )


if __name__ == "__main__":
    run_stage(main)
