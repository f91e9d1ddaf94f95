"""Read docs/reference/outputs.md: the names that it explains for each file, and names that it misses or invents."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from repository import ROOT

NAME = re.compile(r"`([^`]+)`")
PLACEHOLDER = re.compile(r"<[\w ]+>")
OPTIONAL = "Only if "  # begins the meaning of a name that not every run writes
PROVENANCE = "provenance"

Section = dict[str, bool]  # name, perhaps with <placeholders> -> whether it is optional


def sections(text: str) -> dict[str, Section]:
    """Return the explained names of each file, by the path in its heading; of other headings by their words."""
    found: dict[str, Section] = {}
    names: Section = {}
    for line in text.splitlines():
        if line.startswith("#"):
            names = found.setdefault(line.lstrip("# ").strip("`"), {})
        elif line.startswith("| `"):
            first, meaning, *_ = line.strip("| ").split(" | ")
            names |= {name: meaning.startswith(OPTIONAL) for name in NAME.findall(first)}
    return found


def page() -> dict[str, Section]:
    return sections((ROOT / "docs/reference/outputs.md").read_text(encoding="utf-8"))


def section_of(path: str, found: dict[str, Section]) -> Section:
    """Return the explanation of a file. Raises KeyError if the page has none."""
    for heading, names in found.items():
        if ("/" in heading or "." in heading) and re.fullmatch(_pattern(heading), path):
            return names
    raise KeyError(f"docs/reference/outputs.md does not explain {path}")


def unexplained(names: Iterable[str], section: Section) -> list[str]:
    """Return the names that the section lacks."""
    return [name for name in names if not any(re.fullmatch(_pattern(known), name) for known in section)]


def invented(names: Iterable[str], section: Section) -> list[str]:
    """Return what the section explains though the file lacks it; optional names may be missing."""
    names = list(names)
    return [
        known
        for known, optional in section.items()
        if not optional and not any(re.fullmatch(_pattern(known), name) for name in names)
    ]


def names_in(file: Path) -> list[str]:
    """Return the columns of a CSV file, or the dotted keys of a JSON file without its provenance."""
    if file.suffix == ".csv":
        with open(file, encoding="utf-8", newline="") as stream:
            return next(csv.reader(stream), [])
    content = json.loads(file.read_text(encoding="utf-8"))
    return list(keys({name: own for name, own in content.items() if name != PROVENANCE}))


def keys(content: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of nested dictionaries; a list, or an empty dictionary, is a value."""
    if isinstance(content, dict) and content:
        for name, own in content.items():
            yield from keys(own, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix


def _pattern(name: str) -> str:
    """Return the regular expression of a name: a placeholder matches anything but a separator, * also separators."""
    return PLACEHOLDER.sub("[^./]+", re.escape(name)).replace(r"\*", ".+")
