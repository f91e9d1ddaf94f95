"""FROC curves: sensitivity against false positives per volume, next to the same pieces at random places."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pre2post.figures.canvas import COLOURS, draw_note
from pre2post.segmentation.design import THRESHOLD, domain_label, mix_label, split_and_phase

Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # false positives per volume, sensitivity, sensitivity by chance


def draw_froc(curves: Mapping[tuple[str, str], Points]) -> Figure:
    """Draw one panel per domain (rows: splits, columns: phases) with one curve per mix; `curves` is {(mix, domain)}.

    The dashed line of the same colour is the sensitivity of the same pieces at random places. A mask without
    probabilities, that of the threshold, is a point.
    """
    domains = list(dict.fromkeys(domain for _, domain in curves))
    if not domains:
        return draw_note("no lesion in the test domains")
    splits, phases = (list(dict.fromkeys(split_and_phase(domain)[part] for domain in domains)) for part in (0, 1))
    size = (1.2 + 2.4 * len(phases), 0.9 + 2.3 * len(splits))
    figure, grid = plt.subplots(len(splits), len(phases), figsize=size, sharex=True, sharey=True, squeeze=False)
    mixes = list(dict.fromkeys(mix for mix, _ in curves))
    for axes in grid.flat:
        axes.set_axis_off()
    for domain in domains:
        split, phase = split_and_phase(domain)
        axes = grid[splits.index(split), phases.index(phase)]
        axes.set_axis_on()
        for mix, colour in zip(mixes, COLOURS * len(mixes), strict=False):
            if (mix, domain) in curves:
                _draw_curve(axes, curves[mix, domain], mix, colour)
        axes.set_title(domain_label(domain), fontsize=9)
    grid[0, 0].set(ylim=(-0.03, 1.03))
    for axes in grid[-1]:
        axes.set_xlabel("false positives per volume")
    for axes in grid[:, 0]:
        axes.set_ylabel("sensitivity")
    handles, labels = _legend(list(grid.flat))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=8)
    figure.suptitle("Lesions found at a number of false positives per volume", fontsize=10)
    return figure


def _draw_curve(axes: Axes, points: Points, mix: str, colour: str) -> None:
    false, sensitivity, by_chance = points
    if mix == THRESHOLD:
        axes.scatter(false[-1], sensitivity[-1], color=colour, marker="X", s=45, label=mix_label(mix), zorder=4)
        return
    axes.step(false, sensitivity, where="post", color=colour, label=mix_label(mix))
    axes.scatter(false[-1], sensitivity[-1], color=colour, s=12, zorder=3)
    axes.plot(false, by_chance, color=colour, linestyle=":", linewidth=1)


def _legend(panels: Sequence[Axes]) -> tuple[list, list[str]]:
    """Return each curve of the panels once, and the meaning of the dots."""
    found = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    found["dotted: the same pieces at random places"] = plt.Line2D([], [], color="grey", linestyle=":")
    return list(found.values()), list(found)
