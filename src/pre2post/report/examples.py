"""Choose the patients of the figures and load their volumes."""

from collections.abc import Mapping, Sequence

import numpy as np

from pre2post.cohort.case import Case
from pre2post.core.paths import PREDICTIONS, SYNTHETIC, synthetic_name
from pre2post.figures.examples import Example
from pre2post.figures.outlines import Chosen, Outlined
from pre2post.io.volume_file import read_volume
from pre2post.segmentation.design import domain_label, mix_label, split_and_phase
from pre2post.segmentation.volumes import volume_file

RANKS = ("best", "median", "worst")


def best_median_worst(rows: Sequence[Mapping[str, str]], split: str) -> dict[str, str]:
    """Return {rank: case} of a split, ranked by the synthetic volume's error in the lesion.

    `rows` is plots/synthesis.csv.
    """
    errors = {
        row["case"]: float(row["mae"])
        for row in rows
        if (row["split"], row["method"], row["region"]) == (split, "synthetic", "lesion")
    }
    ranked = sorted(errors, key=errors.__getitem__)
    return {rank: ranked[round(place * (len(ranked) - 1) / (len(RANKS) - 1))] for place, rank in enumerate(RANKS)}


def load_example(case: Case, rank: str, phase: str) -> Example:
    """Load the volumes of one patient; `phase` is the real phase that the synthetic volume imitates."""
    pre = read_volume(case.path("pre"))
    post, synthetic = read_volume(case.path(phase)), read_volume(SYNTHETIC / synthetic_name(case.id))
    return Example(
        f"{_short(case.id)}: {rank} in the lesion",
        pre=case.scale.normalise(pre.array),
        post=case.scale.normalise(post.array),
        synthetic=case.scale.normalise(synthetic.array),
        mask=read_volume(case.path("mask")).array,
        aspect=pre.spacing[1] / pre.spacing[0],
    )


def load_outlined(case: Case, chosen: Chosen) -> Outlined:
    """Load the volume of one patient in one domain, with the annotated mask and that of each mix."""
    image = read_volume(volume_file(case, split_and_phase(chosen.domain)[1], SYNTHETIC))
    predicted = {
        mix: read_volume(PREDICTIONS / mix / chosen.domain / f"{case.id}.nii.gz", np.uint8).array for mix in chosen.dice
    }
    dice = [f"Dice {value:.2f} {mix_label(mix)}" for mix, value in chosen.dice.items()]
    title = "\n".join([f"{_short(case.id)} ({domain_label(chosen.domain)})", *dice])
    return Outlined(
        title,
        case.scale.normalise(image.array),
        read_volume(case.path("mask"), np.uint8).array,
        predicted,
        aspect=image.spacing[1] / image.spacing[0],
    )


def _short(case: str) -> str:
    """Return the name of a patient without the prefix of the Duke cohort."""
    return case.removeprefix("Breast_MRI_")
