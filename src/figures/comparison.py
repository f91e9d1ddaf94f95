"""Per-patient quality against the floors, and Dice of every training setting in every test domain."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

METHODS = {"pre": "untouched\npre", "lut": "look-up\ntable", "synthetic": "synthetic"}
REGIONS = {"lesion": "lesion", "breast": "breast", "contralateral": "other breast", "whole": "whole volume"}


def draw_quality(rows: list[dict[str, str]]) -> Figure:
    """Mean absolute error of every patient under each method, a line a patient, a panel a region and group."""
    groups = sorted({row["group"] for row in rows}, reverse=True)
    size = (2.8 * len(REGIONS), 2.8 * len(groups))
    figure, grid = plt.subplots(len(groups), len(REGIONS), figsize=size, squeeze=False)
    for line, group in zip(grid, groups, strict=True):
        for axes, region in zip(line, REGIONS, strict=True):
            _draw_paired(axes, [row for row in rows if row["group"] == group and row["region"] == region])
            axes.set_title(f"{group}: {REGIONS[region]}")
        line[0].set_ylabel("mean absolute error")
    return figure


def _draw_paired(axes, rows: list[dict[str, str]]) -> None:
    errors = {method: {row["case"]: float(row["mae"]) for row in rows if row["method"] == method} for method in METHODS}
    for case in errors["synthetic"]:
        axes.plot([errors[method][case] for method in METHODS], color="grey", linewidth=0.7, alpha=0.6)
    for place, method in enumerate(METHODS):
        values = list(errors[method].values())
        axes.scatter([place] * len(values), values, s=14, zorder=3)
        axes.hlines(np.mean(values), place - 0.25, place + 0.25, color="black", linewidth=2, zorder=4)
    axes.set_xticks(range(len(METHODS)), METHODS.values())
    axes.set(ylim=(0, None), xlim=(-0.5, len(METHODS) - 0.5))


def draw_dice(table: list[dict]) -> Figure:
    """The matrix of mean Dice, training settings by test domains, each cell with its interval."""
    settings = list(dict.fromkeys(row["setting"] for row in table))
    domains = list(dict.fromkeys(row["domain"] for row in table))
    cells = {(row["setting"], row["domain"]): row for row in table}
    dice = np.array([[cells[setting, domain]["dice"] for domain in domains] for setting in settings], float)

    figure, axes = plt.subplots(figsize=(2.5 + 1.5 * len(domains), 1 + 0.75 * len(settings)))
    drawn = axes.imshow(dice, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for line, setting in enumerate(settings):
        for column, domain in enumerate(domains):
            axes.text(column, line, _cell(cells[setting, domain]), ha="center", va="center", fontsize=9,
                      color="white" if dice[line, column] < 0.5 else "black")
    axes.set_xticks(range(len(domains)), [domain.replace("_", ", ") for domain in domains])
    axes.set_yticks(range(len(settings)), [setting.replace("_", " + ") for setting in settings])
    axes.set(xlabel="tested on", ylabel="trained on", title="Dice of the tumour (mean over patients, 95 % interval)")
    axes.spines[:].set_visible(False)
    plt.colorbar(drawn, ax=axes, label="Dice")
    return figure


def _cell(row: dict) -> str:
    interval = "" if row["low"] is None else f"\n{row['low']:.2f} to {row['high']:.2f}"
    return f"{row['dice']:.2f}{interval}"
