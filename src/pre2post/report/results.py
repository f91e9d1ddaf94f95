"""The tables and metrics of a run, as the results page reads them, and how it names things."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pre2post.report.headline import OTHER_KEYS

Row = Mapping[str, str]


@dataclass(frozen=True)
class Results:
    """The tables that the page is written from.

    tables: rows of plots/<name>.csv. metrics: content of metrics/<name>.json.
    """

    tables: Mapping[str, Sequence[Row]]
    metrics: Mapping[str, Mapping[str, Any]]

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(row["split"] for row in self.tables["synthesis_statistics"]))

    @property
    def mixes(self) -> list[str]:
        return [name for name in self.metrics["segmentation"] if name not in OTHER_KEYS]

    @property
    def is_phantom(self) -> bool:
        used = [row for row in self.tables["cohort"] if row["status"] == "used"]
        return all(row["patient"].startswith("phantom:") for row in used)


def find(rows: Sequence[Row], **wanted: str) -> Row:
    """Return the first row with these values; one of empty texts where there is none."""
    found = (row for row in rows if all(row[name] == value for name, value in wanted.items()))
    return next(found, dict.fromkeys(rows[0] if rows else (), ""))


def figure(name: str, text: str) -> str:
    return f"![{text}](../plots/{name}.png)"
