"""Draw every figure and write the tables of Dice and trainings, from metrics, tables and volumes of earlier stages."""

from itertools import product

from pre2post.cohort.case import read_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_json, read_table, write_tracked_table
from pre2post.core.paths import METRICS, PLOTS, VOLUMES
from pre2post.core.section import StageParams
from pre2post.evaluation.froc import curves
from pre2post.figures.canvas import save
from pre2post.figures.cohort import draw_cohort
from pre2post.figures.curves import draw_losses, draw_same
from pre2post.figures.detection import draw_detection
from pre2post.figures.dice import draw_dice, draw_dice_paired
from pre2post.figures.examples import draw_examples
from pre2post.figures.froc import draw_froc
from pre2post.figures.outlines import draw_outlines, worst_cases
from pre2post.figures.same_dice import draw_same_dice
from pre2post.figures.synthesis import draw_synthesis
from pre2post.image.params import SlicesParams
from pre2post.report.dice_table import dice_table
from pre2post.report.examples import best_median_worst, load_example, load_outlined
from pre2post.report.trainings import training_rows
from pre2post.segmentation.design import BASELINE
from pre2post.segmentation.params import SegmentationParams


class Params(StageParams):
    """The parameters that this stage reads."""

    slices: SlicesParams
    segmentation: SegmentationParams


def main() -> None:
    params = Params.read()
    synthesis = read_table(PLOTS / "synthesis.csv")
    segmentation, pieces, compared = (
        read_table(PLOTS / f"segmentation{name}.csv") for name in ("", "_pieces", "_gains")
    )
    gains = [row for row in compared if row["kind"] == BASELINE]
    dice = dice_table(read_json(METRICS / "segmentation.json"), gains)
    write_tracked_table(PLOTS / "dice.csv", dice)
    trainings = product(params.segmentation.train, params.segmentation.folds)
    histories = {(mix, fold): read_table(PLOTS / f"segmenters/{mix}_{fold}.csv") for mix, fold in trainings}
    write_tracked_table(PLOTS / "trainings.csv", training_rows(histories))

    cases = {case.id: case for case in read_cases(VOLUMES)}
    chosen = best_median_worst(synthesis, "test")
    examples = [load_example(cases[case], rank, params.slices.phases[0]) for rank, case in chosen.items()]
    worst = [load_outlined(cases[choice.case], choice) for choice in worst_cases(segmentation, gains)]
    detection, properties, by_checkpoint, correlations = (
        read_table(PLOTS / f"{name}.csv")
        for name in ("detection", "detection_properties", "same_dice", "same_correlations")
    )

    save(draw_cohort(read_table(PLOTS / "cohort.csv")), PLOTS / "cohort.png")
    save(draw_losses(read_table(PLOTS / "gan_losses.csv")), PLOTS / "gan_losses.png")
    save(draw_same(read_table(PLOTS / "same.csv")), PLOTS / "same.png")
    save(draw_synthesis(synthesis), PLOTS / "synthesis.png")
    save(draw_dice(dice), PLOTS / "dice.png")
    save(draw_dice_paired(segmentation, gains), PLOTS / "dice_paired.png")
    save(draw_outlines(worst), PLOTS / "segmentation_worst.png")
    save(draw_detection(detection, properties, params.segmentation.evaluator), PLOTS / "detection.png")
    save(draw_froc({cell: curve.points() for cell, curve in curves(segmentation, pieces).items()}), PLOTS / "froc.png")
    save(draw_same_dice(by_checkpoint, correlations), PLOTS / "same_dice.png")
    save(draw_examples(examples), PLOTS / "examples.png")


if __name__ == "__main__":
    run_stage(main)
