"""The error of the synthetic volumes per patient, next to the baselines."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pre2post.figures.canvas import draw_paired

METHODS = {
    "pre": "pre",
    "lut": "table",
    "blur": "blurred\ntable",
    "synthetic": "syn-\nthetic",
    "oracle": "oracle",
}
REGIONS = {
    "lesion": "lesion",
    "breast": "breast",
    "contralateral": "contralateral breast",
    "whole": "entire volume",
}


def draw_synthesis(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Draw the mean absolute error of every method: one panel per split and region, one line per patient.

    `rows` is plots/synthesis.csv.
    """
    splits = sorted({row["split"] for row in rows}, reverse=True)
    size = (3.2 * len(REGIONS), 0.3 + 2.8 * len(splits))
    figure, grid = plt.subplots(len(splits), len(REGIONS), figsize=size, squeeze=False)
    for line, split in zip(grid, splits, strict=True):
        for axes, region in zip(line, REGIONS, strict=True):
            shown = [row for row in rows if row["split"] == split and row["region"] == region]
            draw_paired(
                axes,
                {
                    label: {row["case"]: float(row["mae"]) for row in shown if row["method"] == method}
                    for method, label in METHODS.items()
                },
            )
            axes.set(title=f"{split}: {REGIONS[region]}", ylim=(0, None))
            axes.tick_params("x", labelsize=7.5)
        line[0].set_ylabel("mean absolute error,\nnormalised intensity")
    figure.suptitle(
        "Error of the post-contrast image: a line per patient, bars at the means. The oracle knows the mask."
    )
    return figure
