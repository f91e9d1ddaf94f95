"""The Duke-Breast-Cancer-MRI download (doi 10.7937/TCIA.e3sv-re93), as the archive's downloader leaves it.

Both of its ways to name folders are read: descriptive (Breast_MRI_001/01-01-1990-MRI BREAST.../5.000000-ax dyn pre...)
and classic (Breast_MRI_001/<study UID>/<series UID>). Its spreadsheets lie beside the images, and so do masks, which
the archive does not have: segmentations/<case>.nii.gz, or DICOM SEG. cases.csv (case, site, mask and, if wanted,
patient, who may have several cases), where there is one, says instead which cases are used; the phantom has one.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pre2post.cohort.patients import patient_named
from pre2post.core.errors import InputError
from pre2post.core.spreadsheet import read_sheet
from pre2post.ingest.boxes import Annotation, read_annotations
from pre2post.ingest.case_source import CaseSource, Listing, can_name_a_case
from pre2post.ingest.duke_tables import read_exceptions, read_facts, read_patients, read_roles

NAME = "duke"
IMAGES = "Duke-Breast-Cancer-MRI"
TABLE = "cases.csv"
COLUMNS = ("case", "site", "mask")
EXPECTED = f"{IMAGES}/<case>/<study>/<series>/*.dcm, the archive's spreadsheets, segmentations/<case>.nii.gz"
SITE = "duke"
CASE = re.compile(r"Breast_MRI_(\d{3})")
PHANTOM = "PHANTOM.json"  # stands beside the embedded cohort, whose patients bear the names of real ones
MASK_FOLDERS = ("segmentations", "masks")
MASK_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", ".dcm", "")  # the last: a folder with one DICOM SEG


def recognises(root: Path) -> bool:
    """Whether the folder holds the archive's folder of images, or is that folder."""
    return _images(root) is not None


def read_listing(root: Path) -> Listing:
    """The cases that cases.csv lists, or all of the archive's patients. Raises InputError for an unusable table."""
    images = _images(root)
    if images is None:
        raise InputError(
            "the folder is not a cohort in the Duke layout",
            file=root,
            expected=EXPECTED,
            found=f"no folder {IMAGES}",
            hint="point ingest.cohort at the download",
        )
    folders = {path.name for path in images.iterdir() if path.is_dir() and not path.name.startswith(".")}
    listed = (root / TABLE).is_file()
    entries = _from_table(root, images) if listed else _from_folders(root, images, folders)
    tables = [*dict.fromkeys((root, images.parent, images))]
    boxes, known = _annotations(tables), {entry.case for entry in entries}
    unlisted = {
        name: f"a folder that {TABLE} does not list" if listed else "not one of the archive's patients"
        for name in folders - known
    }
    for case in [*boxes, *read_patients(tables)]:
        if case not in known:
            unlisted.setdefault(case, "in the archive's tables, but there are no images")
    completed = sorted(_completed(entries, tables, boxes), key=lambda entry: entry.case)
    return Listing(completed, dict(sorted(unlisted.items())))


def _images(root: Path) -> Path | None:
    """The folder of the patients: the archive's, below its downloader's manifest-... or not, or `root` itself."""
    places = [root / IMAGES, *sorted(root.glob(f"manifest-*/{IMAGES}"))]
    found = next((place for place in places if place.is_dir()), None)
    if found is None and root.is_dir() and any(CASE.fullmatch(path.name) for path in root.iterdir()):
        return root
    return found


def _from_table(root: Path, images: Path) -> list[CaseSource]:
    rows = read_sheet(root / TABLE)
    absent = [column for column in COLUMNS if rows and column not in rows[0]]
    if not rows or absent:
        raise InputError(
            "the table lists no cases",
            file=root / TABLE,
            expected=", ".join(COLUMNS),
            found=f"no column {absent[0]}" if absent else "no line",
            hint="write one line a case",
        )
    entries = [_entry(root, images, row, line) for line, row in enumerate(rows, start=2)]
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.case.casefold() in seen:
            raise InputError(
                "two patients have one id",
                case=entry.case,
                file=root / TABLE,
                found=f"{seen[entry.case.casefold()]} and {entry.case}",
                expected="an id of its own for each",
                hint="correct the table",
            )
        seen[entry.case.casefold()] = entry.case
    return entries


def _entry(root: Path, images: Path, row: dict[str, str], line: int) -> CaseSource:
    case, site, mask = (row[column] for column in COLUMNS)
    if not can_name_a_case(case) or not site or not site.isprintable():
        raise InputError(
            "a case has no usable id or site",
            file=root / TABLE,
            found=f"line {line}: the id {case!r} and the site {site!r}",
            expected="an id that names its folder, and a site",
            hint="correct the table",
        )
    patient = row.get("patient") or _patient(root, case)
    return CaseSource(case, site, images / case, root / mask if mask else None, patient=patient)


def _from_folders(root: Path, images: Path, folders: Iterable[str]) -> list[CaseSource]:
    cases = [name for name in folders if CASE.fullmatch(name)]
    return [CaseSource(case, SITE, images / case, _mask(root, case), patient=_patient(root, case)) for case in cases]


def _mask(root: Path, case: str) -> Path | None:
    """The mask of a case under its own name, or under that which MAMA-MIA gives it (duke_001)."""
    names = (case, f"duke_{case[-3:]}", f"DUKE_{case[-3:]}")
    places = (root / folder / f"{name}{ending}" for folder in MASK_FOLDERS for name in names for ending in MASK_ENDINGS)
    return next((place for place in places if place.exists()), None)


def _patient(root: Path, case: str) -> str:
    """Who this is: the archive's number for its patients, so that MAMA-MIA's copies of them are known."""
    if (root / PHANTOM).is_file():
        return f"phantom:{case}"
    return patient_named(case)


def _annotations(tables: list[Path]) -> dict[str, Annotation]:
    found = [boxes for folder in tables if (boxes := read_annotations(folder))]
    return found[0] if found else {}


def _completed(entries: list[CaseSource], tables: list[Path], boxes: Mapping[str, Annotation]) -> list[CaseSource]:
    """The entries with what the spreadsheets know of them."""
    facts, roles, exceptions = read_facts(tables), read_roles(tables), read_exceptions()
    return [
        CaseSource(
            entry.case,
            entry.site,
            entry.images,
            entry.mask,
            boxes.get(entry.case),
            entry.patient,
            {**roles.get(entry.case, {}), **exceptions.get(entry.patient, {})},
            facts.get(entry.case, {}),
        )
        for entry in entries
    ]
