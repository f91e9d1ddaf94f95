"""The same patients under several methods: a line each, the mean of each method as a bar."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes


def draw_paired(axes: Axes, values: Mapping[str, Mapping[str, float]]) -> None:
    """`values` is {method: {case: value}}; a line runs through the methods for each patient that has all of them."""
    for case in sorted(set.intersection(*(set(found) for found in values.values()))):
        axes.plot([found[case] for found in values.values()], color="grey", linewidth=0.7, alpha=0.6)
    for place, found in enumerate(values.values()):
        axes.scatter([place] * len(found), list(found.values()), s=14, zorder=3)
        if found:
            axes.hlines(np.mean(list(found.values())), place - 0.25, place + 0.25, color="black", linewidth=2, zorder=4)
    axes.set_xticks(range(len(values)), list(values))
    axes.set_xlim(-0.5, len(values) - 0.5)
