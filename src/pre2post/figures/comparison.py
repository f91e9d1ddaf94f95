"""Per-patient quality of the synthetic volumes against the baselines."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pre2post.figures.paired import draw_paired

METHODS = {"pre": "untouched\npre", "lut": "look-up\ntable", "synthetic": "synthetic"}
REGIONS = {"lesion": "lesion", "breast": "breast", "contralateral": "other breast", "whole": "whole volume"}


def draw_quality(rows: list[dict[str, str]]) -> Figure:
    """Mean absolute error of every patient under each method, a line a patient, a panel a region and split."""
    groups = sorted({row["split"] for row in rows}, reverse=True)
    size = (2.8 * len(REGIONS), 2.8 * len(groups))
    figure, grid = plt.subplots(len(groups), len(REGIONS), figsize=size, squeeze=False)
    for line, split in zip(grid, groups, strict=True):
        for axes, region in zip(line, REGIONS, strict=True):
            own = [row for row in rows if row["split"] == split and row["region"] == region]
            draw_paired(
                axes,
                {
                    label: {row["case"]: float(row["mae"]) for row in own if row["method"] == method}
                    for method, label in METHODS.items()
                },
            )
            axes.set(title=f"{split}: {REGIONS[region]}", ylim=(0, None))
        line[0].set_ylabel("mean absolute error")
    return figure
