"""The cohort at a glance: roles of the cases per site, and differences of the volumes between sites."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pre2post.figures.canvas import COLOURS, draw_note

ROLES = ("generator training", "validation", "test", "external", "unused", "skipped")
PALETTE = (*COLOURS[:4], "#BBBBBB", "#666666")
MARGIN = 1.1  # beyond the largest value, so that its point is not cut
MAX_SHOWN = 12  # sites, or phases, that fit side by side

Row = Mapping[str, str]


def draw_cohort(rows: Sequence[Row]) -> Figure:
    """Draw plots/cohort.csv in four panels: cases by site and role, phase times, voxel sizes, tumour volumes."""
    used = [row for row in rows if row["status"] == "used"]
    if not used:
        return draw_note("no case of the cohort is used")
    sites = [site for site, _ in Counter(row["site"] for row in rows if row["site"]).most_common(MAX_SHOWN)]
    figure, ((roles, times), (voxels, tumours)) = plt.subplots(2, 2, figsize=(9.5, 6.5))
    _draw_roles(roles, rows, sites)
    _draw_times(times, used)
    _draw_voxels(voxels, used, sites)
    _draw_tumours(tumours, used)
    skipped = sum(row["status"] == "skipped" for row in rows)
    figure.suptitle(f"Cohort: {len(used)} cases used, {skipped} skipped")
    return figure


def _draw_roles(axes: Axes, rows: Sequence[Row], sites: Sequence[str]) -> None:
    bottom = [0] * len(sites)
    for role, colour in zip(ROLES, PALETTE, strict=True):
        counts = [sum(row["site"] == site and row["role"] == role for row in rows) for site in sites]
        if any(counts):
            bars = axes.bar(sites, counts, 0.6, bottom, color=colour, label=role)
            axes.bar_label(bars, [str(count) if count else "" for count in counts], label_type="center", fontsize=8)
        bottom = [start + count for start, count in zip(bottom, counts, strict=True)]
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set(xlabel="site", ylabel="cases")


def _draw_times(axes: Axes, used: Sequence[Row]) -> None:
    """Draw the known times of each phase, in seconds after the pre-contrast volume."""
    known: dict[str, list[float]] = {}
    for row in used:
        for phase, time in zip(row["phases"].split(), row["times_s"].split(), strict=False):
            if phase != "pre" and time != "?":
                known.setdefault(phase, []).append(float(time))
    phases = sorted(known)[:MAX_SHOWN]
    if not phases:
        axes.text(0.5, 0.5, "no times in the headers", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    labels = [f"{phase}\nn = {len(known[phase])}" for phase in phases]
    axes.boxplot([known[phase] for phase in phases], tick_labels=labels, medianprops={"color": COLOURS[0]})
    axes.set(ylabel="time after pre, s", ylim=(0, None))


def _draw_voxels(axes: Axes, used: Sequence[Row], sites: Sequence[str]) -> None:
    for site, colour in zip(sites, COLOURS * MAX_SHOWN, strict=False):
        steps = Counter(_steps(row) for row in used if row["site"] == site)
        axes.scatter(
            [step[0] for step in steps],
            [step[1] for step in steps],
            color=colour,
            alpha=0.6,
            label=site,
            s=[20 + 60 * count / len(used) for count in steps.values()],
        )
    widest, thickest = (MARGIN * max(lengths) for lengths in zip(*map(_steps, used), strict=True))
    axes.legend(frameon=False, fontsize=8, title="site", loc="lower left", markerscale=0.7)
    axes.set(xlabel="pixel spacing, mm", ylabel="slice spacing, mm", xlim=(0, widest), ylim=(0, thickest))


def _steps(row: Row) -> tuple[float, float]:
    """Return pixel and slice spacing in mm."""
    across, _, along = map(float, row["spacing_mm"].split(" x "))
    return across, along


def _draw_tumours(axes: Axes, used: Sequence[Row]) -> None:
    values = {role: _numbers(row["mask_ml"] for row in used if row["role"] == role) for role in ROLES}
    values = {role: volumes for role, volumes in values.items() if volumes}
    if not values:
        axes.text(0.5, 0.5, "no masks", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    for place, (role, volumes) in enumerate(values.items()):
        shift = [
            0.25 * ((number * 0.618) % 1 - 0.5) for number in range(len(volumes))
        ]  # spreads points that would hide others
        axes.scatter([place + step for step in shift], volumes, color=PALETTE[ROLES.index(role)], s=14)
    axes.set_yscale("log")
    axes.set_xticks(range(len(values)), [f"{role.split()[-1]}\nn = {len(volumes)}" for role, volumes in values.items()])
    axes.set(ylabel="tumour volume, ml")


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) for text in texts if text and float(text) > 0]
