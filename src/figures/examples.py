"""Slices through the lesion: what went in, what should come out, what came out, and where they differ."""

from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

COLUMNS = ("pre-contrast", "real post-contrast", "synthetic post-contrast", "synthetic - real")


@dataclass(frozen=True)
class Example:
    """One patient's volumes (z, y, x), normalised, with the tumour mask; `aspect` is pixel height over width."""

    title: str
    pre: np.ndarray
    post: np.ndarray
    synthetic: np.ndarray
    mask: np.ndarray
    aspect: float


def draw_examples(examples: list[Example]) -> Figure:
    """A row a patient, at the slice with most tumour; grey levels are the same along a row, the lesion is outlined."""
    figure, grid = plt.subplots(len(examples), 4, figsize=(10, 2.55 * len(examples)), squeeze=False)
    for row, example in zip(grid, examples, strict=True):
        _draw_row(row, example)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title)
    return figure


def _draw_row(row, example: Example) -> None:
    z = int(example.mask.sum((1, 2)).argmax())
    brightest = np.percentile(example.post[z], 99.8)  # a few hot pixels must not darken the rest
    for axes, volume in zip(row, (example.pre, example.post, example.synthetic), strict=False):
        axes.imshow(volume[z], cmap="gray", vmin=0, vmax=brightest, aspect=example.aspect)
    difference = example.synthetic[z] - example.post[z]
    drawn = row[3].imshow(difference, cmap="RdBu_r", vmin=-brightest, vmax=brightest, aspect=example.aspect)
    plt.colorbar(drawn, ax=row[3], shrink=0.8, label="normalised")
    for axes in row:
        axes.contour(example.mask[z] > 0, levels=[0.5], colors="#56B4E9" if axes is not row[3] else "black",
                     linewidths=0.8)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    row[0].set_ylabel(example.title)
