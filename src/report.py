"""Draws every figure and writes the Dice table from the metrics, tables and volumes of the stages before."""

from collections.abc import Mapping, Sequence

import numpy as np

from pre2post.cohort.case import Case, read_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_json, read_table, write_table
from pre2post.core.paths import METRICS, PLOTS, PREDICTIONS, SYNTHETIC, VOLUMES, synthetic_name
from pre2post.figures.canvas import in_words, save
from pre2post.figures.cohort import draw_cohort
from pre2post.figures.comparison import draw_quality
from pre2post.figures.curves import draw_losses, draw_same
from pre2post.figures.detection import draw_detection
from pre2post.figures.dice import draw_dice, draw_dice_paired
from pre2post.figures.examples import Example, draw_examples
from pre2post.figures.outlines import Chosen, Outlined, draw_outlines, worst_cases
from pre2post.figures.same_dice import draw_same_dice
from pre2post.io.volume_file import read_volume
from pre2post.pipeline.params import load_params
from pre2post.pipeline.provenance import PROVENANCE
from pre2post.segmentation.design import group_and_phase, volume_file

EXAMPLES = 3  # patients shown: the best, the median and the worst in the lesion


def dice_table(metrics: dict, gains: Sequence[Mapping[str, str]]) -> list[dict]:
    """The Dice of metrics/segmentation.json as rows: setting, domain, dice, low, high, n, and against which baseline by
    how much (difference, p after Holm), both None without one. `gains` is plots/segmentation_gains.csv."""
    baselines = {row["setting"]: row["baseline"] for row in gains}
    rows = []
    for setting in (name for name in metrics if name not in ("gain", PROVENANCE)):
        for domain, cell in metrics[setting].items():
            gain = metrics["gain"].get(setting, {}).get(domain, {})
            rows.append({"setting": setting, "domain": domain,
                         **{name: cell[name] for name in ("dice", "low", "high", "n")},
                         "baseline": baselines.get(setting), "difference": gain.get("dice"), "p": gain.get("p")})
    return rows


def short(case: str) -> str:
    """A patient's name without what all of the Duke cohort share."""
    return case.removeprefix("Breast_MRI_")


def best_median_worst(rows: list[dict[str, str]], group: str) -> list[str]:
    """Three patients of a group by the synthetic volume's error in the lesion."""
    errors = {row["case"]: float(row["mae"]) for row in rows
              if (row["group"], row["method"], row["region"]) == (group, "synthetic", "lesion")}
    ranked = sorted(errors, key=errors.__getitem__)
    return [ranked[round(place * (len(ranked) - 1) / (EXAMPLES - 1))] for place in range(EXAMPLES)]


def load_outlined(case: Case, chosen: Chosen) -> Outlined:
    image = read_volume(volume_file(case, group_and_phase(chosen.domain)[1], SYNTHETIC))
    predicted = {setting: read_volume(PREDICTIONS / setting / chosen.domain / f"{case.id}.nii.gz", np.uint8).array
                 for setting in chosen.dice}
    dice = [f"Dice {value:.2f} {in_words(setting)}" for setting, value in chosen.dice.items()]
    title = "\n".join([f"{short(case.id)} ({chosen.domain.replace('_', ', ')})", *dice])
    return Outlined(title, case.scale.normalise(image.array), read_volume(case.path("mask"), np.uint8).array, predicted,
                    aspect=image.spacing[1] / image.spacing[0])


def load_example(case: Case, title: str, phase: str) -> Example:
    pre = read_volume(case.path("pre"))
    arrays = [pre.array, read_volume(case.path(phase)).array, read_volume(SYNTHETIC / synthetic_name(case.id)).array]
    return Example(title, *map(case.scale.normalise, arrays), read_volume(case.path("mask")).array,
                   aspect=pre.spacing[1] / pre.spacing[0])


def main() -> None:
    params = load_params()
    quality = read_table(PLOTS / "synthesis.csv")
    segmentation, gains = (read_table(PLOTS / f"{name}.csv") for name in ("segmentation", "segmentation_gains"))
    dice = dice_table(read_json(METRICS / "segmentation.json"), gains)
    write_table(PLOTS / "dice.csv", dice)

    cases = {case.id: case for case in read_cases(VOLUMES)}
    chosen = best_median_worst(quality, "test")
    titles = [f"{short(case)}: {rank}" for case, rank in zip(chosen, ("best", "median", "worst"), strict=True)]
    examples = [load_example(cases[case], title, params.slices.phases[0])
                for case, title in zip(chosen, titles, strict=True)]

    save(draw_cohort(read_table(PLOTS / "cohort.csv")), PLOTS / "cohort.png")
    save(draw_losses(read_table(PLOTS / "gan_losses.csv")), PLOTS / "gan_losses.png")
    save(draw_same(read_table(PLOTS / "same.csv")), PLOTS / "same.png")
    save(draw_quality(quality), PLOTS / "synthesis.png")
    save(draw_dice(dice), PLOTS / "dice.png")
    save(draw_dice_paired(segmentation, gains), PLOTS / "dice_paired.png")
    worst = [load_outlined(cases[chosen.case], chosen) for chosen in worst_cases(segmentation, gains)]
    save(draw_outlines(worst), PLOTS / "segmentation_worst.png")
    found, properties, by_checkpoint, correlations = (
        read_table(PLOTS / f"{name}.csv")
        for name in ("detection", "detection_properties", "same_dice", "same_correlations"))
    save(draw_detection(found, properties, params.segmentation.judge), PLOTS / "detection.png")
    save(draw_same_dice(by_checkpoint, correlations), PLOTS / "same_dice.png")
    save(draw_examples(examples), PLOTS / "examples.png")


if __name__ == "__main__":
    run_stage(main)
