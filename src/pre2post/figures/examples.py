"""Slices through the lesion: pre-contrast, real and synthetic post-contrast image, their error and enhancement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMNS = (
    "pre-contrast",
    "real post-contrast",
    "synthetic post-contrast",
    "error: synthetic - real",
    "enhancement, real",
    "enhancement, synthetic",
)
GREY, ENHANCEMENT, SIGNED = "gray", "magma", "RdBu_r"  # distinct for red-green colour blindness
OUTLINE = {GREY: "#56B4E9", ENHANCEMENT: "#56B4E9", SIGNED: "black"}  # of the lesion, visible on each


@dataclass(frozen=True)
class Example:
    """One patient's volumes (z, y, x), normalised, with the tumour mask; `aspect` is pixel height over width."""

    title: str
    pre: np.ndarray
    post: np.ndarray
    synthetic: np.ndarray
    mask: np.ndarray
    aspect: float


def draw_examples(examples: Sequence[Example]) -> Figure:
    """Draw one row per patient at the slice with most tumour, with the lesion outlined and one scale per row."""
    figure, grid = plt.subplots(len(examples), len(COLUMNS), figsize=(14, 2.3 * len(examples)), squeeze=False)
    for row, example in zip(grid, examples, strict=True):
        _draw_row(row, example)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title)
    return figure


def _draw_row(row: Sequence[Axes], example: Example) -> None:
    z = int(example.mask.sum((1, 2)).argmax())
    pre, post, synthetic = (volume[z] for volume in (example.pre, example.post, example.synthetic))
    brightest = np.percentile(post, 99.8)  # a few bright pixels must not darken the others
    enhanced = max(np.percentile(post - pre, 99.8), 1e-6)
    panels = [
        (pre, GREY, 0, brightest),
        (post, GREY, 0, brightest),
        (synthetic, GREY, 0, brightest),
        (synthetic - post, SIGNED, -brightest, brightest),
        (post - pre, ENHANCEMENT, 0, enhanced),
        (synthetic - pre, ENHANCEMENT, 0, enhanced),
    ]
    for axes, (image, colours, low, high) in zip(row, panels, strict=True):
        drawn = axes.imshow(image, cmap=colours, vmin=low, vmax=high, aspect=example.aspect)
        axes.contour(example.mask[z] > 0, levels=[0.5], colors=OUTLINE[colours], linewidths=0.8)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if axes in (row[3], row[5]):
            plt.colorbar(drawn, ax=axes, shrink=0.8)
    row[0].set_ylabel(example.title)
