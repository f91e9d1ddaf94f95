"""SAMe, the Dice of a segmenter on the volumes of each checkpoint, and their correlation."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pre2post.figures.canvas import COLOURS, draw_note
from pre2post.figures.curves import PARTS

LABELS = {
    "same": "SAMe",
    **{f"scaled_{part}": label for part, label in PARTS.items()},
    "lesion_mae": "MAE in the lesion",
    "epoch": "epoch",
}
SAME_COLOUR, DICE_COLOUR = "black", COLOURS[0]

Row = Mapping[str, str]


def draw_same_dice(rows: Sequence[Row], correlations: Sequence[Row]) -> Figure:
    """Draw mean Dice and SAMe over the checkpoints, and the rank correlation of SAMe and its parts with the Dice.

    The best checkpoint of each is marked; intervals are over patients. `rows` is plots/same_dice.csv, `correlations` is
    plots/same_correlations.csv.
    """
    if not rows:
        return draw_note("SAMe was not validated: the mix in segmentation.evaluator was not trained")
    figure = plt.figure(figsize=(9.5, 4.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1])
    dice, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[:, 1])
    same = figure.add_subplot(grid[1, 0], sharex=dice)
    _draw_curve(dice, rows, "dice", DICE_COLOUR, max)
    if all(row["ci_low"] for row in rows):
        dice.fill_between(
            _numbers(rows, "epoch"),
            _numbers(rows, "ci_low"),
            _numbers(rows, "ci_high"),
            color=DICE_COLOUR,
            alpha=0.2,
            linewidth=0,
        )
    dice.set(
        ylabel="Dice, mean and interval\n(higher is better)",
        ylim=(0, None),
        title=f"Tumour segmentation in synthetic volumes of {rows[0]['n']} patients",
    )
    _draw_curve(same, rows, "same", SAME_COLOUR, min)
    same.set(ylabel="SAMe\n(lower is better)", xlabel="epoch of the checkpoint")
    same.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_correlations(right, correlations)
    return figure


def _draw_curve(
    axes: Axes, rows: Sequence[Row], column: str, colour: str, best: Callable[[list[float]], float]
) -> None:
    """Draw a line over the checkpoints with a ring around the best one, the first of equal ones."""
    values = _numbers(rows, column)
    place = values.index(best(values))
    axes.plot(_numbers(rows, "epoch"), values, color=colour, marker="o", markersize=4)
    axes.scatter(
        float(rows[place]["epoch"]),
        values[place],
        s=110,
        facecolors="none",
        edgecolors=COLOURS[3],
        linewidths=1.8,
        zorder=3,
        label=f"best: epoch {rows[place]['epoch']}",
    )
    axes.legend(frameon=False, fontsize=8)


def _draw_correlations(axes: Axes, correlations: Sequence[Row]) -> None:
    axes.axvline(0, color="grey", linewidth=0.8)
    for place, row in enumerate(correlations):
        colour = SAME_COLOUR if row["metric"] == "same" else DICE_COLOUR
        if row["ci_low"]:
            axes.plot(
                [float(row["ci_low"]), float(row["ci_high"])], [place] * 2, color=colour, linewidth=2.5, alpha=0.5
            )
        if row["spearman"]:
            axes.scatter(float(row["spearman"]), place, color=colour, zorder=3)
        else:
            axes.annotate(row["note"], (0, place), ha="center", va="bottom", fontsize=7)
    axes.set_yticks(range(len(correlations)), [LABELS.get(row["metric"], row["metric"]) for row in correlations])
    axes.set(
        xlim=(-1.05, 1.05),
        ylim=(len(correlations) - 0.5, -0.5),
        title="Correlation of scores with the Dice",
        xlabel=f"rank correlation over {correlations[0]['n']} checkpoints\n(1: a better score has a better Dice)",
    )


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    return [float(row[column]) for row in rows]
