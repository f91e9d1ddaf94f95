"""The numbers that people compare first, few enough to read in `dvc metrics diff`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pre2post.pipeline.provenance import PROVENANCE

REGIONS = ("lesion", "breast", "whole")
METHODS = ("synthetic", "pre", "lut", "blur", "oracle")
GAIN = "gain"
OTHER_KEYS = frozenset({GAIN, "rivals", "primary", "threshold_level", PROVENANCE})  # of metrics/segmentation.json

Row = Mapping[str, str]


def headline(same: Mapping[str, Any], statistics: Sequence[Row], segmentation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of metrics/headline.json.

    n: patients per split. same_epoch: the chosen checkpoint. mae: split -> region -> method -> mean over patients, in
    normalised intensity. auc: split -> method -> lesion against the rest of the breasts. dice, gain: test domain ->
    training mix -> mean Dice, and its difference to the baseline mix. mae_ci, dice_ci, gain_ci: the same keys with
    [low, high], which DVC leaves out of its tables.

    Args:
        same: metrics/same.json.
        statistics: rows of plots/synthesis_statistics.csv.
        segmentation: metrics/segmentation.json.
    """
    rows = [row for row in statistics if is_headline(row)]
    mixes = {name: cells for name, cells in segmentation.items() if name not in OTHER_KEYS}
    auc = [row for row in statistics if (row["image"], row["metric"]) == ("post", "auc")]
    gains = segmentation.get(GAIN, {})
    return {
        "n": {row["split"]: int(row["n"]) for row in rows},
        "same_epoch": same["epoch"],
        "mae": _tree(((row["split"], row["region"], row["method"]), _number(row["mean"])) for row in rows),
        "auc": _tree(((row["split"], row["method"]), _number(row["mean"])) for row in auc),
        "dice": _tree(_cells(mixes, lambda cell: cell["dice"])),
        "gain": _tree(_cells(gains, lambda cell: cell["dice"])),
        "mae_ci": _tree(
            ((row["split"], row["region"], row["method"]), [_number(row["ci_low"]), _number(row["ci_high"])])
            for row in rows
        ),
        "dice_ci": _tree(_cells(mixes, _interval)),
        "gain_ci": _tree(_cells(gains, _interval)),
    }


def is_headline(row: Row) -> bool:
    """Return whether a row of plots/synthesis_statistics.csv is the MAE of a method in one of the shown regions."""
    return (
        row["image"] == "post"
        and row["metric"] == "mae"
        and row["region"] in REGIONS
        and row["method"] in METHODS
        and row["mean"] != ""
    )


def _cells(mixes: Mapping[str, Mapping], value) -> Iterable[tuple[tuple[str, str], Any]]:
    """Yield ((domain, mix), value of the cell)."""
    for mix, cells in mixes.items():
        for domain, cell in cells.items():
            yield (domain, mix), value(cell)


def _interval(cell: Mapping[str, float | None]) -> list[float | None]:
    return [cell["ci_low"], cell["ci_high"]]


def _number(text: str) -> float | None:
    return float(text) if text else None


def _tree(items: Iterable[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """Return nested dictionaries from (path of keys, value) pairs."""
    tree: dict[str, Any] = {}
    for path, value in items:
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = value
    return tree
