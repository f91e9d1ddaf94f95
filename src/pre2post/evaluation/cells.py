"""The cells of plots/segmentation.csv: the rows of one mix in one domain, and their values by patient and seed."""

from collections.abc import Iterable, Mapping, Sequence
from operator import getitem
from typing import Any

from pre2post.stats.tables import grouped

STATISTICS_STREAM = 6  # number of the random stream of intervals over cells; no other stage uses it

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Sequence[Row]]


def cells_of(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return {(mix, domain): rows}."""
    return {(key["mix"], key["domain"]): own for key, own in grouped(rows, ("mix", "domain"), getitem)}


def by_case(rows: Iterable[Row], metric: str) -> dict[str, list[float]]:
    """Return the values of each patient in one cell, one per training seed, in the order of the seeds.

    Rows without a column `seed` are those of a single training.
    """
    values: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: float(row.get("seed") or 0)):
        values.setdefault(row["case"], []).append(float(row[metric]))
    return values


def shared_values(cells: Cells, mix: str, baseline: str, domain: str, metric: str) -> tuple[list, list]:
    """Return the values of both mixes for the patients that both have, in the same order."""
    one, other = (by_case(cells[name, domain], metric) for name in (mix, baseline))
    cases = sorted(one.keys() & other.keys())
    return [one[case] for case in cases], [other[case] for case in cases]
