"""Draws every figure and writes the Dice table from the metrics, tables and volumes of the stages before."""

from cohort.case import Case, read_cases
from figures.canvas import save
from figures.comparison import draw_dice, draw_quality
from figures.curves import draw_losses, draw_same
from figures.examples import Example, draw_examples
from imaging.volume import read_volume
from pipeline.errors import run_stage
from pipeline.files import read_json, read_table, write_table
from pipeline.params import load_params
from pipeline.paths import METRICS, PLOTS, SYNTHETIC, VOLUMES

EXAMPLES = 3  # patients shown: the best, the median and the worst in the lesion


def dice_table(metrics: dict) -> list[dict]:
    """metrics/segmentation.json as rows: setting, domain, dice, low, high, n."""
    return [{"setting": setting, "domain": domain, **cell}
            for setting, domains in metrics.items() if setting != "gain" for domain, cell in domains.items()]


def best_median_worst(rows: list[dict[str, str]], group: str) -> list[str]:
    """Three patients of a group by the synthetic volume's error in the lesion."""
    errors = {row["case"]: float(row["mae"]) for row in rows
              if (row["group"], row["method"], row["region"]) == (group, "synthetic", "lesion")}
    ranked = sorted(errors, key=errors.__getitem__)
    return [ranked[round(place * (len(ranked) - 1) / (EXAMPLES - 1))] for place in range(EXAMPLES)]


def load_example(case: Case, title: str, phase: str) -> Example:
    pre = read_volume(case.path("pre"))
    arrays = [pre.array, read_volume(case.path(phase)).array, read_volume(SYNTHETIC / f"{case.id}.nii.gz").array]
    return Example(title, *map(case.scale.normalise, arrays), read_volume(case.path("mask")).array,
                   aspect=pre.spacing[1] / pre.spacing[0])


def main() -> None:
    params = load_params()
    quality = read_table(PLOTS / "synthesis.csv")
    dice = dice_table(read_json(METRICS / "segmentation.json"))
    write_table(PLOTS / "dice.csv", dice)

    cases = {case.id: case for case in read_cases(VOLUMES)}
    chosen = best_median_worst(quality, "test")
    titles = [f"{case.removeprefix('Breast_MRI_')}: {rank}" for case, rank in
              zip(chosen, ("best", "median", "worst"), strict=True)]
    examples = [load_example(cases[case], title, params.slices.phase)
                for case, title in zip(chosen, titles, strict=True)]

    save(draw_losses(read_table(PLOTS / "gan_losses.csv")), PLOTS / "gan_losses.png")
    save(draw_same(read_table(PLOTS / "same.csv")), PLOTS / "same.png")
    save(draw_quality(quality), PLOTS / "synthesis.png")
    save(draw_dice(dice), PLOTS / "dice.png")
    save(draw_examples(examples), PLOTS / "examples.png")


if __name__ == "__main__":
    run_stage(main)
