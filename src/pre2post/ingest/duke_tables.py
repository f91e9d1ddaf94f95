"""The spreadsheets of the Duke download, and the table of its known exceptions.

All are optional. Each function takes the folders to search and reads .xlsx, as in the archive, or .csv.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.progress import progress
from pre2post.core.spreadsheet import iterate_sheet, read_header, read_sheet

PATIENT = "Patient ID"
CLINICAL, CLINICAL_HEADER = "Clinical_and_Other_Features", 2  # row 1 has group titles, row 3 the codes
FEATURES = "Imaging_Features"
MAPPING = "Breast-Cancer-MRI-filepath_filename-mapping"
EXCEPTIONS = Path(__file__).with_name("duke_exceptions.csv")
CODES = re.compile(r"([^=,;{}]+?)\s*=\s*([^=,;{}]+)")  # "GE MEDICAL SYSTEMS=0, SIEMENS=2" and "{0 = no, 1 = yes}"
SEQUENCE = re.compile(r"^(pre|post_?(\d)|T1)$", re.I)  # folders in the original paths of the archive


def find_table(folders: Iterable[Path], name: str) -> Path | None:
    """Return the spreadsheet `name`, .xlsx or .csv, of the first folder that contains it."""
    places = (folder / f"{name}{ending}" for folder in folders for ending in (".xlsx", ".csv"))
    return next((place for place in places if place.is_file()), None)


def read_patients(folders: Sequence[Path]) -> list[str]:
    """Return the ids in the tables of clinical and imaging features; they reveal patients without images."""
    ids: dict[str, None] = {}
    for name, header in ((CLINICAL, CLINICAL_HEADER), (FEATURES, 1)):
        file = find_table(folders, name)
        for row in _rows(file, header) if file else ():
            if row.get(PATIENT, "").startswith("Breast_MRI"):
                ids[row[PATIENT]] = None
    return list(ids)


def read_facts(folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return manufacturer, model and field strength by patient, with codes replaced by their meaning."""
    file = find_table(folders, CLINICAL)
    if not file:
        return {}
    columns = {
        "manufacturer": "Manufacturer",
        "model": "Manufacturer Model Name",
        "field_strength_t": "Field Strength (Tesla)",
    }
    rows = _rows(file, CLINICAL_HEADER)
    codes = {column: _codes(rows[0].get(column, "")) for column in columns.values()} if rows else {}
    return {
        row[PATIENT]: {
            fact: codes[column].get(row[column], row[column]) for fact, column in columns.items() if row.get(column)
        }
        for row in rows
        if row.get(PATIENT, "").startswith("Breast_MRI")
    }


def read_roles(folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return the role of each series by patient and SeriesInstanceUID, from the archive's mapping of file paths.

    The original paths have folders pre, post_1, ..., T1; the last, without fat suppression, becomes "". Raises
    InputError if the columns are others.
    """
    file = find_table(folders, MAPPING)
    roles: dict[str, dict[str, str]] = {}
    for row in progress(iterate_sheet(file), "read the mapping of files", unit="line") if file else ():
        try:
            original, classic = row["original_path_and_filename"].split("/"), row["classic_path"].split("/")
        except KeyError as error:
            raise InputError(
                "this is not the archive's mapping of file paths",
                file=file,
                found=f"no column {error}",
                expected="original_path_and_filename, classic_path",
                hint="download it again, or remove it",
            ) from None
        if len(original) > 2 and len(classic) > 2 and (sequence := SEQUENCE.match(original[-2])):
            roles.setdefault(original[-3], {})[classic[-2]] = _role(sequence)
    return roles


def read_exceptions() -> dict[str, dict[str, str]]:
    """Return reviewed roles by patient and series (SeriesInstanceUID or "#" and SeriesNumber); "" for no phase."""
    exceptions: dict[str, dict[str, str]] = {}
    with open(EXCEPTIONS, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            exceptions.setdefault(row["patient"], {})[row["series"]] = row["role"]
    return exceptions


def _rows(file: Path, header: int) -> list[dict[str, str]]:
    """Read a table whose header is in row `header`, or in row 1 of a .csv that lost the group titles."""
    place = next((place for place in (header, 1) if PATIENT in read_header(file, place)), None)
    if place is None:
        raise InputError(
            "this table of the archive has unexpected columns",
            file=file,
            expected=f"a column {PATIENT}",
            found=", ".join(read_header(file)[:5]),
            hint="download it again, or remove it",
        )
    return read_sheet(file, place)


def _codes(text: str) -> dict[str, str]:
    """Parse "GE MEDICAL SYSTEMS=0, SIEMENS=2" into {"0": "GE MEDICAL SYSTEMS", "2": "SIEMENS"}."""
    return {code.strip(): meaning.strip() for meaning, code in CODES.findall(text)}


def _role(sequence: re.Match[str]) -> str:
    if sequence.group(2):
        return f"post{sequence.group(2)}"
    return "pre" if sequence.group(1).lower() == "pre" else ""
