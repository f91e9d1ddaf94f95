"""Common parts of all figures: colours, size, notes, paired points, and a file that is the same on every run."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no window system is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pre2post.core.files import atomic_path

# Okabe and Ito, "Color Universal Design": distinct under the common colour vision deficiencies.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
DOTS_PER_INCH = 110  # sharp on a screen, a few hundred kilobytes in Git

plt.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=COLOURS),
        "figure.constrained_layout.use": True,
    }
)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and close it."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)


def draw_note(text: str) -> Figure:
    """Draw a text alone: the reason why there is nothing to draw."""
    figure, axes = plt.subplots(figsize=(6.5, 1))
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return figure


def draw_paired(axes: Axes, values: Mapping[str, Mapping[str, float]]) -> None:
    """Draw {method: {case: value}}: one line per patient with all methods, and a bar at the mean of each method."""
    for case in sorted(set.intersection(*(set(by_case) for by_case in values.values()))):
        axes.plot([by_case[case] for by_case in values.values()], color="grey", linewidth=0.7, alpha=0.6)
    for place, by_case in enumerate(values.values()):
        points = list(by_case.values())
        axes.scatter([place] * len(points), points, s=14, zorder=3)
        if points:
            axes.hlines(np.mean(points), place - 0.25, place + 0.25, color="black", linewidth=2, zorder=4)
    axes.set_xticks(range(len(values)), list(values))
    axes.set_xlim(-0.5, len(values) - 0.5)
