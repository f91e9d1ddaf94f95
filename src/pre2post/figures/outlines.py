"""Where segmentation fails: images of the worst patients with the annotated and the predicted tumour outlined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pre2post.figures.canvas import in_words
from pre2post.segmentation.design import split_and_phase

# Of Okabe and Ito's colours those that are bright on grey; told apart by the dashes as well.
ANNOTATED = {"color": "#56B4E9", "linestyle": "solid"}
PREDICTED = ({"color": "#E69F00", "linestyle": "solid"}, {"color": "#CC79A7", "linestyle": "dashed"})
COLUMNS = ("slice with most tumour", "the same, outlined", "slice with most false prediction")
WORST = 2  # patients of each split


@dataclass(frozen=True)
class Chosen:
    """One patient in one domain, and the Dice of each mix there."""

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
    """The patients of each split that the best baseline does worst on, with what the first mix built on it does.

    The best baseline is the one with the highest mean Dice in a phase, over the patients of all groups, and that phase
    is looked at: so what is seen is what remains hard, not that a domain was never trained on. Of equal Dice, 0 above
    all, the larger tumour comes first. Without any baseline the best mix stands alone. `rows` is
    plots/segmentation.csv, `gains` plots/segmentation_gains.csv.
    """
    built_on = {row["baseline"]: row["mix"] for row in reversed(gains)}
    dice: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if not built_on or row["mix"] in built_on:
            dice.setdefault((row["mix"], split_and_phase(row["domain"])[1]), []).append(float(row["dice"]))
    best, phase = max(dice, key=lambda cell: np.mean(dice[cell]))
    shown = [best, built_on[best]] if built_on else [best]
    found = {(row["mix"], row["domain"], row["case"]): float(row["dice"]) for row in rows}
    own = sorted(
        (row for row in rows if (row["mix"], split_and_phase(row["domain"])[1]) == (best, phase)),
        key=lambda row: (float(row["dice"]), -float(row["true_ml"])),
    )
    return [
        Chosen(domain, row["case"], {name: found[name, domain, row["case"]] for name in shown})
        for domain in dict.fromkeys(row["domain"] for row in rows if split_and_phase(row["domain"])[1] == phase)
        for row in [row for row in own if row["domain"] == domain][:WORST]
    ]


def draw_outlines(examples: Sequence[Outlined]) -> Figure:
    """A row a patient: the slice with most annotated tumour, without and with outlines, and the one with most voxels
    predicted in vain. All show the same mixes."""
    names = list(examples[0].predicted)
    figure, grid = plt.subplots(len(examples), len(COLUMNS), figsize=(10.5, 0.6 + 3.2 * len(examples)), squeeze=False)
    for row, example in zip(grid, examples, strict=True):
        _draw_row(row, example)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title)
    lines = [Line2D([], [], **style) for style in (ANNOTATED, *PREDICTED[: len(names)])]
    labels = ["annotated", *(f"trained on {in_words(name)}" for name in names)]
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines), frameon=False)
    return figure


def _draw_row(row, example: Outlined) -> None:
    most_tumour = int(example.annotated.sum((1, 2)).argmax())
    in_vain = sum(((mask > 0) & (example.annotated == 0)).sum((1, 2)) for mask in example.predicted.values())
    most_in_vain = int(in_vain.argmax()) if in_vain.any() else most_tumour
    brightest = np.percentile(example.image, 99.8)  # a few hot pixels must not darken the rest
    for axes, z in zip(row, (most_tumour, most_tumour, most_in_vain), strict=True):
        axes.imshow(example.image[z], cmap="gray", vmin=0, vmax=brightest, aspect=example.aspect)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, z in zip(row[1:], (most_tumour, most_in_vain), strict=True):
        for mask, style in zip(example.predicted.values(), PREDICTED, strict=False):
            _outline(axes, mask[z], style)
        _outline(axes, example.annotated[z], ANNOTATED)  # last: it is never hidden
    row[0].set_ylabel(example.title)


def _outline(axes, mask: np.ndarray, style: Mapping[str, str]) -> None:
    if mask.any():
        axes.contour(mask > 0, levels=[0.5], colors=style["color"], linestyles=style["linestyle"], linewidths=1.2)
