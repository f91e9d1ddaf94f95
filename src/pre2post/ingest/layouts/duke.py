"""The Duke-Breast-Cancer-MRI download (doi 10.7937/TCIA.e3sv-re93), as written by the archive's downloader.

Folder names are descriptive (Breast_MRI_001/01-01-1990-MRI BREAST.../5.000000-ax dyn pre...) or classic
(Breast_MRI_001/<study UID>/<series UID>). The archive's spreadsheets are next to the images, and so are masks, which
are not in the archive: segmentations/<case>.nii.gz, or DICOM SEG. An optional cases.csv (case, site, mask, and
optionally patient for patients with several cases) lists the cases to use; the phantom has one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
PHANTOM = "PHANTOM.json"  # marks the phantom cohort, whose cases have the names of real patients
MASK_FOLDERS = ("segmentations", "masks")
MASK_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", ".dcm", "")  # the last one: a folder with one DICOM SEG


def recognises(root: Path) -> bool:
    """Return whether the folder contains the archive's folder of images, or is that folder."""
    return _images(root) is not None


def read_listing(root: Path) -> Listing:
    """Return the cases in cases.csv, or without it all patients. Raises InputError for an unusable table."""
    images = _images(root)
    if images is None:
        raise InputError(
            "the folder is not a cohort in the Duke layout",
            file=root,
            expected=EXPECTED,
            found=f"no folder {IMAGES}",
            hint="set ingest.cohort to the folder of the download",
        )
    folders = {path.name for path in images.iterdir() if path.is_dir() and not path.name.startswith(".")}
    listed = (root / TABLE).is_file()
    sources = _from_table(root, images) if listed else _from_folders(root, images, folders)
    tables = [*dict.fromkeys((root, images.parent, images))]
    boxes, known = _annotations(tables), {source.case for source in sources}
    unlisted = {
        name: f"the folder is not in {TABLE}" if listed else "not one of the archive's patients"
        for name in folders - known
    }
    for case in [*boxes, *read_patients(tables)]:
        if case not in known:
            unlisted.setdefault(case, "in the archive's tables, but without images")
    completed = sorted(_completed(sources, tables, boxes), key=lambda source: source.case)
    return Listing(completed, dict(sorted(unlisted.items())))


def _images(root: Path) -> Path | None:
    """Return the folder of the patients: the archive's, possibly below the downloader's manifest-..., or `root`."""
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
            hint="write one line per case",
        )
    sources = [_from_row(root, images, row, line) for line, row in enumerate(rows, start=2)]
    seen: dict[str, str] = {}
    for source in sources:
        key = source.case.casefold()
        if key in seen:
            raise InputError(
                "two cases have one id",
                case=source.case,
                file=root / TABLE,
                found=f"{seen[key]} and {source.case}",
                expected="a different id for each case",
                hint="correct the table",
            )
        seen[key] = source.case
    return sources


def _from_row(root: Path, images: Path, row: dict[str, str], line: int) -> CaseSource:
    case, site, mask = (row[column] for column in COLUMNS)
    if not can_name_a_case(case) or not site or not site.isprintable():
        raise InputError(
            "a case has no usable id or site",
            file=root / TABLE,
            found=f"line {line}: the id {case!r} and the site {site!r}",
            expected="an id that is the name of its folder, and a site",
            hint="correct the table",
        )
    patient = row.get("patient") or _patient(root, case)
    return CaseSource(case, site, images / case, root / mask if mask else None, patient=patient)


def _from_folders(root: Path, images: Path, folders: Iterable[str]) -> list[CaseSource]:
    cases = [name for name in folders if CASE.fullmatch(name)]
    return [CaseSource(case, SITE, images / case, _mask(root, case), patient=_patient(root, case)) for case in cases]


def _mask(root: Path, case: str) -> Path | None:
    """Find the mask of a case by its name, or by its name in MAMA-MIA (duke_001)."""
    names = (case, f"duke_{case[-3:]}", f"DUKE_{case[-3:]}")
    places = (root / folder / f"{name}{ending}" for folder in MASK_FOLDERS for name in names for ending in MASK_ENDINGS)
    return next((place for place in places if place.exists()), None)


def _patient(root: Path, case: str) -> str:
    """Return the key of the patient; it is the same for copies of the patient in MAMA-MIA."""
    if (root / PHANTOM).is_file():
        return f"phantom:{case}"
    return patient_named(case)


def _annotations(tables: list[Path]) -> dict[str, Annotation]:
    found = [boxes for folder in tables if (boxes := read_annotations(folder))]
    return found[0] if found else {}


def _completed(sources: list[CaseSource], tables: list[Path], boxes: Mapping[str, Annotation]) -> list[CaseSource]:
    """Add boxes, roles and facts from the spreadsheets."""
    facts, roles, exceptions = read_facts(tables), read_roles(tables), read_exceptions()
    return [
        replace(
            source,
            box=boxes.get(source.case),
            roles={**roles.get(source.case, {}), **exceptions.get(source.patient, {})},
            facts=facts.get(source.case, {}),
        )
        for source in sources
    ]
