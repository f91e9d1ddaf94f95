"""The picture of a stage that had nothing to draw: it says why."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def draw_note(text: str) -> Figure:
    figure, axes = plt.subplots(figsize=(6.5, 1))
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return figure
