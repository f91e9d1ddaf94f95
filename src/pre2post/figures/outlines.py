"""Failures of the segmentation: the worst patients, with annotated and predicted tumour outlined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pre2post.segmentation.design import mix_label, split_and_phase


class Line(NamedTuple):
    """The look of an outline."""

    color: str
    linestyle: Literal["solid", "dashed"]


# Colours of Okabe and Ito that are bright on grey; the dashes distinguish the outlines too.
ANNOTATED = Line("#56B4E9", "solid")
PREDICTED = (Line("#E69F00", "solid"), Line("#CC79A7", "dashed"))
COLUMNS = ("slice with most tumour", "same slice, outlined", "slice with most false positives")
WORST = 2  # patients of each split


@dataclass(frozen=True)
class Chosen:
    """One patient in one domain, with the Dice of each mix."""

    domain: str
    case: str
    dice: Mapping[str, float]


@dataclass(frozen=True)
class Outlined:
    """A volume (z, y, x), normalised, with the annotated and each mix's mask; `aspect` is pixel height / width."""

    title: str
    image: np.ndarray
    annotated: np.ndarray
    predicted: Mapping[str, np.ndarray]
    aspect: float


def worst_cases(rows: Sequence[Mapping[str, str]], gains: Sequence[Mapping[str, str]]) -> list[Chosen]:
    """Return the patients of each split with the lowest Dice of the best baseline, with the first mix compared with it.

    The best baseline has the highest mean Dice in a phase, over the patients of both splits; the patients are taken
    from that phase. So the figure shows hard cases, not a domain that was never trained on. For equal Dice, such as 0,
    the larger tumour comes first. Without baselines, the best mix is shown alone. `rows` is plots/segmentation.csv,
    `gains` is plots/segmentation_gains.csv.
    """
    built_on = {row["baseline"]: row["mix"] for row in reversed(gains)}
    dice: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if not built_on or row["mix"] in built_on:
            dice.setdefault((row["mix"], split_and_phase(row["domain"])[1]), []).append(float(row["dice"]))
    best, phase = max(dice, key=lambda cell: np.mean(dice[cell]))
    shown = [best, built_on[best]] if built_on else [best]
    dice_of = {(row["mix"], row["domain"], row["case"]): float(row["dice"]) for row in rows}
    ranked = sorted(
        (row for row in rows if (row["mix"], split_and_phase(row["domain"])[1]) == (best, phase)),
        key=lambda row: (float(row["dice"]), -float(row["true_ml"])),
    )
    return [
        Chosen(domain, row["case"], {name: dice_of[name, domain, row["case"]] for name in shown})
        for domain in dict.fromkeys(row["domain"] for row in rows if split_and_phase(row["domain"])[1] == phase)
        for row in [row for row in ranked if row["domain"] == domain][:WORST]
    ]


def draw_outlines(examples: Sequence[Outlined]) -> Figure:
    """Draw one row per patient: the slice with most annotated tumour, without and with outlines, and the slice with
    most false positive voxels. All examples have the same mixes.
    """
    names = list(examples[0].predicted)
    figure, grid = plt.subplots(len(examples), len(COLUMNS), figsize=(10.5, 0.6 + 3.2 * len(examples)), squeeze=False)
    for row, example in zip(grid, examples, strict=True):
        _draw_row(row, example)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title)
    lines = [
        Line2D([], [], color=line.color, linestyle=line.linestyle) for line in (ANNOTATED, *PREDICTED[: len(names)])
    ]
    labels = ["annotated", *(f"trained on {mix_label(name)}" for name in names)]
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines), frameon=False)
    return figure


def _draw_row(row: Sequence[Axes], example: Outlined) -> None:
    most_tumour = int(example.annotated.sum((1, 2)).argmax())
    wrong = np.array([(mask > 0) & (example.annotated == 0) for mask in example.predicted.values()])
    false_positives = wrong.sum((0, 2, 3))
    most_false = int(false_positives.argmax()) if false_positives.any() else most_tumour
    brightest = np.percentile(example.image, 99.8)  # a few bright pixels must not darken the others
    for axes, z in zip(row, (most_tumour, most_tumour, most_false), strict=True):
        axes.imshow(example.image[z], cmap="gray", vmin=0, vmax=brightest, aspect=example.aspect)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, z in zip(row[1:], (most_tumour, most_false), strict=True):
        for mask, line in zip(example.predicted.values(), PREDICTED, strict=False):
            _outline(axes, mask[z], line)
        _outline(axes, example.annotated[z], ANNOTATED)  # last, so that it is never hidden
    row[0].set_ylabel(example.title)


def _outline(axes: Axes, mask: np.ndarray, line: Line) -> None:
    if mask.any():
        axes.contour(mask > 0, levels=[0.5], colors=line.color, linestyles=line.linestyle, linewidths=1.2)
