"""Your own cohort: volume files in any folder, and a table with one line per phase.

A line gives case, phase (pre, post1, post2, ...) and path, absolute or relative to the folder of the table. Optional
columns: mask, site, patient, manufacturer and field_strength_t in any line of a case, time_s (seconds from any origin)
in every line.
"""

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from pre2post.core.errors import InputError
from pre2post.core.spreadsheet import read_header, read_sheet
from pre2post.ingest.case_source import CaseSource, Listing, can_name_a_case

NAME = "nifti"
TABLES = ("cases.csv", "cases.xlsx")
COLUMNS = ("case", "phase", "path")
EXPECTED = (
    f"{' or '.join(TABLES)} with the columns {', '.join(COLUMNS)} and optionally mask, site, patient, "
    "manufacturer, field_strength_t, time_s; one line per phase"
)

OWN_SITE = "own"
PHASE = re.compile(r"pre|post([1-9][0-9]{0,2})", re.A)  # at most post999

Rows = list[dict[str, str]]


def recognises(root: Path) -> bool:
    """Return whether the folder has a table with the three required columns."""
    return any(_fits(Path(root) / name) for name in TABLES)


def read_listing(root: Path) -> Listing:
    """Return the cases of the table, without checking that their files exist.

    Raises InputError for no table, two tables, missing columns, no line, an unusable line, or contradictory lines.
    """
    root = Path(root)
    table = _find_table(root)
    lines: dict[str, Rows] = {}
    for row in _read_rows(table):
        _check_line(row, table)
        lines.setdefault(row["case"], []).append(row)
    _check_distinct(lines, table)
    _check_own_files((row for rows in lines.values() for row in rows), root, table)
    return Listing([_source(case, lines[case], table) for case in sorted(lines)])


def _fits(table: Path) -> bool:
    try:
        return set(COLUMNS) <= set(read_header(table))
    except (InputError, ValueError):  # ValueError: a path with a zero byte
        return False


def _find_table(root: Path) -> Path:
    present = [root / name for name in TABLES if (root / name).is_file()]
    fitting = [table for table in present if _fits(table)]
    if len(fitting) > 1:
        raise InputError(
            "two tables of cases exist",
            file=root,
            found=" and ".join(TABLES),
            expected="one",
            hint="remove one of them",
        )
    if not present:
        raise InputError(
            "the folder has no table of cases",
            file=root,
            found=f"no {' and no '.join(TABLES)}",
            expected=EXPECTED,
            hint="write a table, or set ingest.cohort to the folder of a cohort",
        )
    return (fitting or present)[0]


def _read_rows(table: Path) -> Rows:
    absent = sorted(set(COLUMNS) - set(read_header(table)))
    rows = [] if absent else read_sheet(table)
    if not rows:
        raise InputError(
            "the table lists no cases",
            file=table,
            expected=EXPECTED,
            hint="write one line per phase",
            found=f"no column {', '.join(absent)}" if absent else "no line",
        )
    return rows


def _check_line(row: dict[str, str], table: Path) -> None:
    case = row["case"]
    if not can_name_a_case(case) or not row.get("site", "").isprintable():
        raise InputError(
            "a line has no usable case id or site",
            file=table,
            found=f"{_shown(row)}, site {row.get('site', '')!r}",
            expected="an id that can be the name of a folder, and a printable site",
            hint="correct the line",
        )
    if not PHASE.fullmatch(row["phase"]):
        raise InputError(
            "the table names an unknown phase",
            case=case,
            file=table,
            found=repr(row["phase"]),
            expected="pre, post1, post2, ...",
            hint="correct the line",
        )
    if not row["path"]:
        raise InputError(
            "a line has no path",
            case=case,
            file=table,
            found=_shown(row),
            expected="the path of a volume",
            hint="correct or remove the line",
        )


def _check_distinct(cases: Iterable[str], table: Path) -> None:
    """Refuse ids that differ only in case or in the encoding of an accent: some file systems treat them as equal."""
    seen: dict[str, str] = {}
    for case in cases:
        first = seen.setdefault(normalize("NFC", case.casefold()), case)
        if first != case:
            raise InputError(
                "two ids differ only in upper and lower case, or in the encoding of an accent",
                case=case,
                file=table,
                found=f"{first!a} and {case!a}",
                expected="one spelling for each case",
                hint="correct the table",
            )


def _check_own_files(rows: Iterable[dict[str, str]], root: Path, table: Path) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        path, image = os.path.normpath(root / row["path"]), f"{row['case']} {row['phase']}"
        first = seen.setdefault(path, image)
        if first != image:
            raise InputError(
                "two images have the same file",
                case=row["case"],
                file=table,
                found=f"{row['path']} as {first} and as {image}",
                expected="a different file for each image",
                hint="correct the table",
            )


def _source(case: str, rows: Rows, table: Path) -> CaseSource:
    phases = _by_phase(case, rows, table)
    mask, site, patient = (_agreed(case, rows, column, table) for column in ("mask", "site", "patient"))
    strength = _agreed(case, rows, "field_strength_t", table)
    facts = {
        "manufacturer": _agreed(case, rows, "manufacturer", table),
        "field_strength_t": f"{_number(case, strength, 'field_strength_t', table):g}" if strength else "",
        "times_s": _times(case, phases.values(), table),
    }
    return CaseSource(
        case,
        site or OWN_SITE,
        {phase: table.parent / row["path"] for phase, row in phases.items()},
        table.parent / mask if mask else None,
        patient=patient or case,
        facts={name: value for name, value in facts.items() if value},
    )


def _by_phase(case: str, rows: Rows, table: Path) -> dict[str, dict[str, str]]:
    """Return the line of each phase, in order of time."""
    found: dict[str, dict[str, str]] = {}
    for row in sorted(rows, key=_place):
        first = found.setdefault(row["phase"], row)
        if first is not row:
            raise InputError(
                "a phase has two lines",
                case=case,
                file=table,
                expected=f"one file for {row['phase']}",
                found=f"{first['path']} and {row['path']}",
                hint="remove one of the two",
            )
    if "pre" not in found:
        raise InputError(
            "the phase pre is missing",
            case=case,
            file=table,
            found=", ".join(found),
            expected="pre, post1, ...",
            hint="add the line, or remove the case",
        )
    return found


def _place(row: dict[str, str]) -> int:
    """Return the place in time of a checked line: 0 for pre, 1 for post1, ..."""
    return 0 if row["phase"] == "pre" else int(row["phase"].removeprefix("post"))


def _agreed(case: str, rows: Rows, column: str, table: Path) -> str:
    """Return the value that the lines of a case have in a column, "" if it is empty in all."""
    values = sorted({row[column] for row in rows if row.get(column)})
    if len(values) > 1:
        raise InputError(
            f"the lines of a case contradict each other in {column}",
            case=case,
            file=table,
            found=" and ".join(values),
            expected="one value per case",
            hint="correct the table",
        )
    return values[0] if values else ""


def _times(case: str, rows: Iterable[dict[str, str]], table: Path) -> str:
    """Return the seconds of the phases from pre, "" if no line has a time."""
    texts = [row.get("time_s", "") for row in rows]
    if not any(texts):
        return ""
    times = [_number(case, text, "time_s", table) for text in texts]
    if times != sorted(set(times)):
        raise InputError(
            "the times of the phases do not rise",
            case=case,
            file=table,
            found=", ".join(texts),
            expected="times that rise from pre to post1, ...",
            hint="correct time_s or phase, or leave time_s empty",
        )
    return " ".join(f"{time - times[0]:g}" for time in times)


def _number(case: str, text: str, column: str, table: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise InputError(
            f"{column} is not a non-negative number",
            case=case,
            file=table,
            found=repr(text),
            expected="seconds in every line of the case" if column == "time_s" else "a field strength in tesla",
            hint="correct it, or leave the column empty for this case",
        )
    return value


def _shown(row: dict[str, str]) -> str:
    return ", ".join(f"{column} {row[column]!r}" for column in COLUMNS)
