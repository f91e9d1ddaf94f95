"""Results of the synthesis: one table of image quality with every baseline, and what differs from them by interval."""

from collections.abc import Sequence
from typing import NamedTuple

from pre2post.report.markdown import MISSING, listed, number, table, with_interval
from pre2post.report.results import Results, Row, figure, find
from pre2post.segmentation.design import domain_label

BASELINES = {"pre": "pre-contrast", "lut": "look-up table", "blur": "blurred look-up table"}
METHODS = {"synthetic": "synthetic"} | BASELINES | {"oracle": "oracle (knows the mask)", "real": "real"}


class Measure(NamedTuple):
    """One row of the table: where its numbers are in plots/synthesis_statistics.csv, and how they are shown."""

    name: str
    image: str
    region: str
    metric: str
    digits: int
    percent: bool = False


REGIONS = {"whole": "entire volume", "breast": "breast", "lesion": "lesion"}
MEASURES = (
    *(Measure(f"MAE ({name})", "post", region, "mae", 4) for region, name in REGIONS.items()),
    *(Measure(f"SSIM ({name})", "post", region, "ssim", 3) for region, name in REGIONS.items()),
    *(Measure(f"PSNR in dB ({name})", "post", region, "psnr", 1) for region, name in REGIONS.items()),
    *(Measure(f"subtraction NMSE ({name})", "subtraction", region, "nmse", 3) for region, name in REGIONS.items()),
    Measure("lesion AUC", "post", "lesion", "auc", 3),
    Measure("false pieces per patient", "subtraction", "breast", "false_pieces", 1),
    Measure("% of patients with a false piece", "subtraction", "breast", "any_false_pieces", 0, percent=True),
    Measure("missed pieces per patient", "subtraction", "breast", "missed_pieces", 1),
    Measure("% of patients with a missed piece", "subtraction", "breast", "any_missed_pieces", 0, percent=True),
    Measure("all pieces outside the lesion per patient", "subtraction", "breast", "pieces", 1),
)
SHORT = (
    "MAE (entire volume)",
    "MAE (lesion)",
    "SSIM (entire volume)",
    "SSIM (breast)",
    "PSNR in dB (breast)",
    "subtraction NMSE (breast)",
    "lesion AUC",
    "false pieces per patient",
    "all pieces outside the lesion per patient",
)  # measures in README: those that the generator wins and those that it loses
EXPLANATION = """\
- MAE is in normalised intensity. The data range of SSIM and PSNR is the intensity range of the patient's pre-contrast
  volume.
- Subtraction NMSE is the squared error of post minus pre, divided by the squared enhancement. A volume without any
  enhancement has 1.
- Lesion AUC is the chance that a voxel of the lesion is brighter than one of the rest of the breasts.
- Pieces are connected enhancement of at least 0.5 ml. A false piece does not enhance in the real volume, a missed one
  not in the compared volume.
- The oracle adds the lesion's median enhancement within the annotated mask. It is a bound, no method.
- All volumes pass through the generator's matrix and back."""


def image_quality(results: Results) -> str:
    return "\n\n".join(
        [
            "Comparison with the real first post-contrast volume: means over patients with bootstrap intervals.",
            EXPLANATION,
            *(f"**{_patients(results, split)}**\n\n{split_table(results, split)}" for split in results.splits),
            "Gain of the synthetic volume over each baseline, paired by patient; above 0 is better for every measure. "
            "These comparisons are descriptive: intervals, without tests.",
            gain_table(results),
            *(gain_sentence(results, split) for split in results.splits),
            *filter(None, (oracle_sentence(results, split) for split in results.splits)),
            *(continuity_sentence(results, split) for split in results.splits),
            figure("synthesis", "MAE of every patient, by region and method"),
            figure("examples", "Best, median and worst patient by lesion error"),
        ]
    )


def short_table(results: Results) -> str:
    """Return the means of the measures in SHORT, with the splits in one cell, such as "0.016 / 0.015"."""
    rows = [
        [measure.name, *(" / ".join(_mean(results, split, measure, method) for split in results.splits)
                         for method in METHODS)]
        for measure in MEASURES if measure.name in SHORT
    ]  # fmt: skip
    return table(["", *METHODS.values()], [[cell if cell.strip("- /") else MISSING for cell in row] for row in rows])


def split_table(results: Results, split: str) -> str:
    """Return one row per measure and one column per method, with intervals."""
    rows = []
    for measure in MEASURES:
        cells = [_statistics(results, split, measure, method) for method in METHODS]
        if any(cell["mean"] for cell in cells):
            rows.append([measure.name, *(_with_interval(cell, measure) for cell in cells)])
    return table(["", *METHODS.values()], rows)


def gain_table(results: Results) -> str:
    rows = []
    for split in results.splits:
        for measure in MEASURES:
            cells = [_gain(results, split, measure, baseline) for baseline in BASELINES]
            if any(cell.get("gain") for cell in cells):
                shown = [
                    with_interval(cell.get("gain"), cell.get("ci_low"), cell.get("ci_high"), measure.digits, sign=True)
                    for cell in cells
                ]
                rows.append([domain_label(split), measure.name, *shown])
    return table(["patients", "", *(f"over {name}" for name in BASELINES.values())], rows)


def gain_sentence(results: Results, split: str) -> str:
    """Return where the intervals of the gains exclude 0."""
    parts = []
    for baseline, name in BASELINES.items():
        better, worse = [], []
        for measure in MEASURES:
            cell = _gain(results, split, measure, baseline)
            if cell.get("ci_low") and float(cell["ci_low"]) > 0:
                better.append(measure.name)
            if cell.get("ci_high") and float(cell["ci_high"]) < 0:
                worse.append(measure.name)
        parts.append(f"- Against {name}: better in {_or_none(better)}; worse in {_or_none(worse)}.")
    return "\n".join([f"{domain_label(split).capitalize()} patients, by intervals that exclude 0:\n", *parts])


def oracle_sentence(results: Results, split: str) -> str:
    """Return which part of the way from the look-up table to the oracle the generator covers in lesion MAE."""
    measure = next(one for one in MEASURES if (one.metric, one.region) == ("mae", "lesion"))
    means = [_statistics(results, split, measure, method)["mean"] for method in ("synthetic", "lut", "oracle")]
    if not all(means):
        return ""
    synthetic, lut, oracle = map(float, means)
    covered = f"{number(100 * (lut - synthetic) / (lut - oracle), 0)} %" if lut > oracle else "no defined part"
    return (
        f"{domain_label(split).capitalize()} patients: in lesion MAE, the generator covers {covered} of the way from "
        "the look-up table to the oracle."
    )


def continuity_sentence(results: Results, split: str) -> str:
    """Return how smooth the synthetic slices are along each axis."""
    measures = (Measure("", "post", "breast", f"continuity_{axis}", 2) for axis in "zyx")
    z, y, x = (_mean(results, split, measure, "synthetic") for measure in measures)
    return (
        f"{domain_label(split).capitalize()} patients: the change between neighbouring voxels of the breast, as a "
        f"multiple of the real volume's, is {z} along z, {y} along y and {x} along x."
    )


def _statistics(results: Results, split: str, measure: Measure, method: str) -> Row:
    return find(
        results.tables["synthesis_statistics"],
        split=split,
        image=measure.image,
        region=measure.region,
        metric=measure.metric,
        method=method,
    )


def _mean(results: Results, split: str, measure: Measure, method: str) -> str:
    return number(_scaled(_statistics(results, split, measure, method)["mean"], measure), measure.digits)


def _with_interval(cell: Row, measure: Measure) -> str:
    mean, low, high = (_scaled(cell[name], measure) for name in ("mean", "ci_low", "ci_high"))
    return with_interval(mean, low, high, measure.digits)


def _scaled(value: str, measure: Measure) -> str | float:
    return 100 * float(value) if value and measure.percent else value


def _gain(results: Results, split: str, measure: Measure, baseline: str) -> Row:
    return find(
        results.tables["synthesis_gains"],
        split=split,
        image=measure.image,
        region=measure.region,
        metric=measure.metric,
        baseline=baseline,
    )


def _patients(results: Results, split: str) -> str:
    row = next(row for row in results.tables["synthesis_statistics"] if row["split"] == split)
    return f"{domain_label(split).capitalize()} patients, n = {row['n']}"


def _or_none(names: Sequence[str]) -> str:
    return listed(names) if names else "nothing"
