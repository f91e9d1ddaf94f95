"""Dice of every training mix in every test domain: as a matrix, and per patient against the baseline."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pre2post.figures.canvas import draw_paired
from pre2post.segmentation.design import domain_label, mix_label, split_and_phase

GAIN = "RdBu"  # red for worse, blue for better, white at 0; distinct for red-green colour blindness
NO_BASELINE = "#D9D9D9"  # light grey, which is not in that map
SMALLEST_SCALE = 0.05  # smallest difference with full colour, so that noise of 0.01 stays pale
DARK = 0.5  # cells whose mean of red, green and blue is below this get white letters


def draw_dice(table: Sequence[Mapping]) -> Figure:
    """Draw the matrix of training mixes by test domains: mean Dice, interval, and difference from the baseline.

    A row of `table` has mix, domain, baseline, dice, ci_low, ci_high and difference; None: no value. The colour of a
    cell is its difference; cells without a baseline are grey.
    """
    mixes, domains = _names(table, "mix"), _names(table, "domain")
    places = {(row["mix"], row["domain"]): row for row in table}
    gains = np.full((len(mixes), len(domains)), np.nan)
    figure, axes = plt.subplots(figsize=(2.6 + 1.1 * len(domains), 1.3 + 0.72 * len(mixes)))
    for (mix, domain), row in places.items():
        if row["difference"] is not None:
            gains[mixes.index(mix), domains.index(domain)] = row["difference"]
    limit = max(SMALLEST_SCALE, np.nanmax(np.abs(gains), initial=0))
    drawn = axes.imshow(
        np.ma.masked_invalid(gains),
        cmap=colormaps[GAIN].with_extremes(bad=NO_BASELINE),
        vmin=-limit,
        vmax=limit,
        aspect="auto",
    )
    colours = drawn.to_rgba(np.ma.masked_invalid(gains))
    for (mix, domain), row in places.items():
        line, column = mixes.index(mix), domains.index(domain)
        axes.text(
            column,
            line,
            _cell(row),
            ha="center",
            va="center",
            fontsize=8,
            linespacing=1.25,
            color="white" if colours[line, column, :3].mean() < DARK else "black",
        )
    for column in range(1, len(domains)):
        new_split = split_and_phase(domains[column])[0] != split_and_phase(domains[column - 1])[0]
        axes.axvline(column - 0.5, color="white", linewidth=6 if new_split else 1)
    for line in range(1, len(mixes)):
        axes.axhline(line - 0.5, color="white", linewidth=1)
    baselines = {row["mix"]: row["baseline"] for row in table}
    axes.set_xticks(range(len(domains)), [domain_label(domain).replace(", ", ",\n") for domain in domains])
    axes.set_yticks(range(len(mixes)), [_with_baseline(mix, baselines[mix]) for mix in mixes])
    axes.tick_params(length=0)
    axes.set(
        xlabel="tested on",
        ylabel="trained on",
        title="Mean Dice over patients, with its interval and the mean difference from the baseline",
    )
    axes.spines[:].set_visible(False)
    plt.colorbar(drawn, ax=axes, label="difference from the baseline", fraction=0.04, pad=0.02)
    return figure


def draw_dice_paired(rows: Sequence[Mapping[str, str]], gains: Sequence[Mapping[str, str]]) -> Figure:
    """Draw one panel per mix with a baseline, and domain: one line per patient from the baseline's Dice to the mix's.

    `rows` is plots/segmentation.csv. `gains` are the rows of plots/segmentation_gains.csv with kind baseline; the mean
    difference and its interval are above the panels.
    """
    gains = [row for row in gains if row["metric"] == "dice"]
    mixes, domains = _names(gains, "mix"), _names(gains, "domain")
    figure, grid = plt.subplots(
        max(len(mixes), 1),
        max(len(domains), 1),
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(1.2 + 1.45 * max(len(domains), 1), 0.8 + 1.7 * max(len(mixes), 1)),
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for gain in gains:
        axes = grid[mixes.index(gain["mix"]), domains.index(gain["domain"])]
        axes.set_axis_on()
        dice = {label: _by_case(rows, gain[label], gain["domain"]) for label in ("baseline", "mix")}
        draw_paired(axes, dice)
        axes.set_title(_gain(gain), fontsize=8)
        axes.set_ylim(-0.03, 1.03)  # points at 0 and 1 are not cut
    for column, domain in enumerate(domains):
        grid[0, column].annotate(
            domain_label(domain),
            (0.5, 1),
            (0, 20),
            xycoords="axes fraction",
            ha="center",
            textcoords="offset points",
            weight="bold",
        )
    figure.suptitle("Dice per patient; above each panel the mean difference and its interval")
    baselines = {row["mix"]: row["baseline"] for row in gains}
    for line, mix in zip(grid, mixes, strict=False):
        line[0].set_ylabel(f"Dice\n{_with_baseline(mix, baselines[mix])}")
    return figure


def _by_case(rows: Sequence[Mapping[str, str]], mix: str, domain: str) -> dict[str, float]:
    """Return the Dice of each patient of one mix and domain, averaged over several trainings."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if (row["mix"], row["domain"]) == (mix, domain):
            values.setdefault(row["case"], []).append(float(row["dice"]))
    return {case: float(np.mean(found)) for case, found in values.items()}


def _names(table: Sequence[Mapping], column: str) -> list[str]:
    return list(dict.fromkeys(row[column] for row in table))


def _with_baseline(mix: str, baseline: str | None) -> str:
    return mix_label(mix) + (f"\nbaseline: {mix_label(baseline)}" if baseline else "")


def _cell(row: Mapping) -> str:
    lines = [f"{row['dice']:.2f}"]
    if row["ci_low"] is not None:
        lines.append(f"{row['ci_low']:.2f} to {row['ci_high']:.2f}")
    if row["difference"] is not None:
        lines.append(_signed(row["difference"]))
    return "\n".join(lines)


def _gain(row: Mapping[str, str]) -> str:
    if not row["difference"]:
        return "no patient in both"
    ends = [f"{float(row[end]) + 0.0:+.2f}" for end in ("ci_low", "ci_high") if row[end]]  # -0.00 includes 0
    return _signed(float(row["difference"])) + (f" [{', '.join(ends)}]" if ends else "")


def _signed(difference: float) -> str:
    return f"{round(difference, 2) + 0.0:+.2f}"  # adding 0 turns a -0 into 0
