"""Tumour detection in synthetic volumes: fractions, and the Dice against each property of the image."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pre2post.figures.canvas import COLOURS, draw_note
from pre2post.segmentation.design import mix_label

REAL, SYNTHETIC = COLOURS[2], COLOURS[4]
DETECTED, MISSED = COLOURS[0], COLOURS[3]
MARKERS = ("o", "^", "s")  # of the splits
LABELS = {
    "size_ml": "lesion size, ml",
    "contrast": "contrast to noise",
    "heterogeneity": "heterogeneity, SD / mean",
    "entropy": "entropy, bits",
    "enhancement_error": "enhancement error,\nsynthetic - real",
}
BOTH = "both"  # splits together, in the table of correlations

Row = Mapping[str, str]


def draw_detection(rows: Sequence[Row], correlations: Sequence[Row], mix: str) -> Figure:
    """Draw the fraction of tumours that each mix detects, then for one mix one panel per property of the image.

    A point is one patient. The panels give the correlation and its interval.

    Args:
        rows: plots/detection.csv.
        correlations: plots/detection_properties.csv.
        mix: The mix of the panels; if it was not tested, the first one.
    """
    if not rows:
        return draw_note("no patient was segmented in both a real and a synthetic volume")
    mixes = list(dict.fromkeys(row["mix"] for row in rows))
    mix = mix if mix in mixes else mixes[0]
    figure, grid = plt.subplots(2, 3, figsize=(9.5, max(6, 1.3 * len(mixes))))  # the first panel has one line per mix
    fractions, *panels = grid.flat
    _draw_fractions(fractions, rows, mixes)
    patients = [row for row in rows if row["mix"] == mix]
    splits = {row["split"] for row in patients}
    shown = (mix, "synthetic", BOTH if len(splits) > 1 else min(splits))
    by_property = {row["property"]: row for row in correlations if (row["mix"], row["domain"], row["split"]) == shown}
    for axes, (name, label) in zip(panels, LABELS.items(), strict=True):
        _draw_property(axes, patients, name if name in rows[0] else f"{name}_synthetic")
        axes.set(xlabel=label, ylim=(-0.03, None))
        axes.set_title(_title(by_property[name]), fontsize=9)
    for axes in (panels[0], panels[2]):
        axes.set_ylabel("Dice in the synthetic volume")
    if all(float(row["size_ml"]) > 0 for row in patients):
        panels[0].set_xscale("log")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(f"Tumour detection, and the Dice in synthetic volumes of the segmenter trained on {mix_label(mix)}")
    return figure


def _draw_fractions(axes: Axes, rows: Sequence[Row], mixes: Sequence[str]) -> None:
    for place, mix in enumerate(mixes):
        patients = [row for row in rows if row["mix"] == mix]
        counts = [sum(_is_detected(row, image) for row in patients) for image in ("real", "synthetic")]
        chances = [sum(float(row[f"chance_{image}"]) for row in patients) for image in ("real", "synthetic")]
        axes.scatter(
            [100 * chance / len(patients) for chance in chances], [place] * 2, marker="|", color=[REAL, SYNTHETIC], s=60
        )
        axes.plot([100 * count / len(patients) for count in counts], [place] * 2, color="grey", linewidth=1, zorder=1)
        for count, colour, marker, above in zip(counts, (REAL, SYNTHETIC), "oD", (6, -14), strict=True):
            axes.scatter(100 * count / len(patients), place, color=colour, marker=marker, zorder=2)
            axes.annotate(
                f"{count} of {len(patients)}",
                (100 * count / len(patients), place),
                (0, above),
                fontsize=8,
                textcoords="offset points",
                ha="center",
            )
    axes.scatter([], [], color=REAL, marker="o", label="real")
    axes.scatter([], [], color=SYNTHETIC, marker="D", label="synthetic")
    axes.scatter([], [], color="grey", marker="|", label="by chance")
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=3,
        columnspacing=1,
        handletextpad=0,
    )
    axes.set_yticks(range(len(mixes)), [mix_label(name).replace(" + ", " +\n") for name in mixes])
    axes.set(xlim=(-3, 108), ylim=(len(mixes) - 0.4, -0.7), xlabel="detected tumours, %")


def _draw_property(axes: Axes, patients: Sequence[Row], column: str) -> None:
    for split, marker in zip(dict.fromkeys(row["split"] for row in patients), MARKERS, strict=False):
        for detected, colour, word in ((True, DETECTED, "detected"), (False, MISSED, "missed")):
            points = [
                row
                for row in patients
                if row["split"] == split and _is_detected(row, "synthetic") == detected and row[column]
            ]
            axes.scatter(
                [float(row[column]) for row in points],
                [float(row["dice_synthetic"]) for row in points],
                color=colour,
                marker=marker,
                s=24,
                label=f"{split}, {word}",
            )


def _is_detected(row: Row, image: str) -> bool:
    """Return whether a tumour is detected, with several trainings by at least half of them."""
    return float(row[f"detected_{image}"]) >= 0.5


def _title(row: Row) -> str:
    if not row["spearman"]:
        return "no rank correlation"
    return f"rank corr. {float(row['spearman']):+.2f}" + (
        f" [{float(row['ci_low']):+.2f}, {float(row['ci_high']):+.2f}]" if row["ci_low"] else ""
    )
