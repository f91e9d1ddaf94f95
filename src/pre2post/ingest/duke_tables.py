"""The spreadsheets of the Duke download, and the table of its known exceptions.

They are optional, and lie wherever the user put them: each function takes the folders to look in. All are read as
.xlsx, as the archive has them, or as the .csv that people make of them.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.progress import progress
from pre2post.core.spreadsheet import iterate_sheet, read_header, read_sheet

PATIENT = "Patient ID"
CLINICAL, CLINICAL_HEADER = "Clinical_and_Other_Features", 2  # row 1 holds titles of groups, row 3 the codes
FEATURES = "Imaging_Features"
MAPPING = "Breast-Cancer-MRI-filepath_filename-mapping"
EXCEPTIONS = Path(__file__).with_name("duke_exceptions.csv")
CODES = re.compile(r"([^=,;{}]+?)\s*=\s*([^=,;{}]+)")  # "GE MEDICAL SYSTEMS=0, SIEMENS=2" and "{0 = no, 1 = yes}"
SEQUENCE = re.compile(r"^(pre|post_?(\d)|T1)$", re.I)  # folders of the archive's original names


def find_table(folders: Iterable[Path], name: str) -> Path | None:
    """The spreadsheet of this name, .xlsx or .csv, in the first folder that has it."""
    places = (folder / f"{name}{ending}" for folder in folders for ending in (".xlsx", ".csv"))
    return next((place for place in places if place.is_file()), None)


def read_patients(folders: Sequence[Path]) -> list[str]:
    """Ids in the tables of clinical and imaging features, to find patients whose images are missing."""
    ids: dict[str, None] = {}
    for name, header in ((CLINICAL, CLINICAL_HEADER), (FEATURES, 1)):
        file = find_table(folders, name)
        for row in _rows(file, header) if file else ():
            if row.get(PATIENT, "").startswith("Breast_MRI"):
                ids[row[PATIENT]] = None
    return list(ids)


def read_facts(folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Manufacturer, model and field strength of each patient, their codes put into words."""
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
    """What the archive's mapping of file paths says of each series of each patient: role by SeriesInstanceUID.

    Its original names lie in folders pre, post_1, ..., T1; the last, without fat suppression, becomes "". Raises
    InputError when the table has other columns.
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
                hint="fetch it again, or take it away",
            ) from None
        if len(original) > 2 and len(classic) > 2 and (sequence := SEQUENCE.match(original[-2])):
            roles.setdefault(original[-3], {})[classic[-2]] = _role(sequence)
    return roles


def read_exceptions() -> dict[str, dict[str, str]]:
    """Reviewed exceptions by patient: role, or "" for none, by SeriesInstanceUID or by "#" and SeriesNumber."""
    found: dict[str, dict[str, str]] = {}
    with open(EXCEPTIONS, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["patient"], {})[row["series"]] = row["role"]
    return found


def _rows(file: Path, header: int) -> list[dict[str, str]]:
    """A CSV made of the clinical table may have lost the titles of groups that are row 1 of the original."""
    place = next((place for place in (header, 1) if PATIENT in read_header(file, place)), None)
    if place is None:
        raise InputError(
            "this table of the archive is not as it should be",
            file=file,
            expected=f"a column {PATIENT}",
            found=", ".join(read_header(file)[:5]),
            hint="fetch it again, or take it away",
        )
    return read_sheet(file, place)


def _codes(text: str) -> dict[str, str]:
    """ "GE MEDICAL SYSTEMS=0, SIEMENS=2" as {"0": "GE MEDICAL SYSTEMS", "2": "SIEMENS"}."""
    return {code.strip(): meaning.strip() for meaning, code in CODES.findall(text)}


def _role(sequence: re.Match) -> str:
    if sequence.group(2):
        return f"post{sequence.group(2)}"
    return "pre" if sequence.group(1).lower() == "pre" else ""
