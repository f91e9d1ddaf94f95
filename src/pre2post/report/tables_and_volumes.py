"""Load what the figures show: the Dice table, example patients, the worst segmentations."""

from collections.abc import Mapping, Sequence

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.paths import PREDICTIONS, SYNTHETIC, synthetic_name
from pre2post.figures.canvas import in_words
from pre2post.figures.examples import Example
from pre2post.figures.outlines import Chosen, Outlined
from pre2post.io.volume_file import read_volume
from pre2post.pipeline.provenance import PROVENANCE
from pre2post.segmentation.design import split_and_phase, volume_file

EXAMPLES = 3  # patients shown: the best, the median and the worst in the lesion


def dice_table(metrics: dict, gains: Sequence[Mapping[str, str]]) -> list[dict]:
    """The Dice of metrics/segmentation.json as rows: mix, domain, dice, low, high, n, and against which baseline by
    how much (difference, p after Holm), both None without one. `gains` is plots/segmentation_gains.csv."""
    baselines = {row["mix"]: row["baseline"] for row in gains}
    rows = []
    for mix in (name for name in metrics if name not in ("gain", PROVENANCE)):
        for domain, cell in metrics[mix].items():
            gain = metrics["gain"].get(mix, {}).get(domain, {})
            rows.append(
                {
                    "mix": mix,
                    "domain": domain,
                    **{name: cell[name] for name in ("dice", "ci_low", "ci_high", "n")},
                    "baseline": baselines.get(mix),
                    "difference": gain.get("dice"),
                    "p": gain.get("p"),
                }
            )
    return rows


def short(case: str) -> str:
    """A patient's name without what all of the Duke cohort share."""
    return case.removeprefix("Breast_MRI_")


def best_median_worst(rows: list[dict[str, str]], split: str) -> list[str]:
    """Three patients of a split by the synthetic volume's error in the lesion."""
    errors = {
        row["case"]: float(row["mae"])
        for row in rows
        if (row["split"], row["method"], row["region"]) == (split, "synthetic", "lesion")
    }
    ranked = sorted(errors, key=errors.__getitem__)
    return [ranked[round(place * (len(ranked) - 1) / (EXAMPLES - 1))] for place in range(EXAMPLES)]


def load_outlined(case: Case, chosen: Chosen) -> Outlined:
    image = read_volume(volume_file(case, split_and_phase(chosen.domain)[1], SYNTHETIC))
    predicted = {
        mix: read_volume(PREDICTIONS / mix / chosen.domain / f"{case.id}.nii.gz", np.uint8).array for mix in chosen.dice
    }
    dice = [f"Dice {value:.2f} {in_words(mix)}" for mix, value in chosen.dice.items()]
    title = "\n".join([f"{short(case.id)} ({chosen.domain.replace('_', ', ')})", *dice])
    return Outlined(
        title,
        case.scale.normalise(image.array),
        read_volume(case.path("mask"), np.uint8).array,
        predicted,
        aspect=image.spacing[1] / image.spacing[0],
    )


def load_example(case: Case, title: str, phase: str) -> Example:
    pre = read_volume(case.path("pre"))
    arrays = [pre.array, read_volume(case.path(phase)).array, read_volume(SYNTHETIC / synthetic_name(case.id)).array]
    return Example(
        title,
        *map(case.scale.normalise, arrays),
        read_volume(case.path("mask")).array,
        aspect=pre.spacing[1] / pre.spacing[0],
    )
