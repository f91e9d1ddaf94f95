"""The layout of the Duke-Breast-Cancer-MRI download, with a table of cases beside it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cohort.boxes import Annotation, read_annotations
from imaging.dicom import Series, read_series, scan_series
from imaging.dicom_header import SliceHeader, read_header
from pipeline.errors import InputError
from pipeline.files import read_table

TABLE = "cases.csv"
IMAGES = "Duke-Breast-Cancer-MRI"
COLUMNS = ("case", "site", "mask")
LAYOUT = f"{TABLE} ({', '.join(COLUMNS)}) and {IMAGES}/<case>/<study>/<series>/*.dcm"
SHOWN = 5  # names of a wrong folder's content in a message


@dataclass(frozen=True)
class Entry:
    """One line of the table of cases: where the patient's series are, its tumour mask and its box if there are any."""

    case: str
    site: str
    folder: Path
    mask: Path | None
    box: Annotation | None = None


def read_cohort(root: Path) -> list[Entry]:
    """The cases that the table lists, sorted by id. Raises InputError when `root` is not a cohort in this layout."""
    _check_layout(root)
    rows = read_table(root / TABLE)
    absent = [column for column in COLUMNS if rows and column not in rows[0]]
    if not rows or absent:
        found = f"no column {absent[0]}" if absent else "no line"
        raise InputError("the table lists no cases", file=root / TABLE, found=found, expected=", ".join(COLUMNS),
                         todo="write one line a case")
    entries = [_entry(root, row, line) for line, row in enumerate(rows, start=2)]
    _refuse_repeated(root, entries)
    boxes = read_annotations(root, {entry.case for entry in entries})
    return sorted((replace(entry, box=boxes.get(entry.case)) for entry in entries), key=lambda entry: entry.case)


def unlisted(root: Path, entries: list[Entry]) -> list[str]:
    """Names of patient folders that the table does not list; they are not used."""
    present = {path.name for path in (root / IMAGES).iterdir() if path.is_dir()}
    return sorted(present - {entry.case for entry in entries})


def shared_patients(entries: list[Entry]) -> dict[str, InputError]:
    """Cases whose folders hold the same patient, each with its error: nobody can tell whose images these are."""
    owners: dict[str, list[Entry]] = {}
    for entry in entries:
        file = next(_dicom_files(entry.folder), None)
        if file is None:
            continue  # told when the case itself is read, as is a file that cannot be
        with suppress(InputError):
            patient = read_header(file, entry.case).patient.casefold()
            owners.setdefault(patient or entry.case.casefold(), []).append(entry)
    return {entry.case: _shared(entry, patient, group)
            for patient, group in owners.items() if len(group) > 1 for entry in group}


def read_examination(entry: Entry) -> list[list[SliceHeader]]:
    """Headers of every series of a case. Raises InputError when there is none, or two patients or studies."""
    folders = sorted({file.parent for file in _dicom_files(entry.folder)})
    if not folders:
        raise InputError("the case has no DICOM files", case=entry.case, file=entry.folder,
                         found="no file" if entry.folder.is_dir() else "no such folder",
                         expected="<study>/<series>/*.dcm", todo=f"fetch the case, or take it out of {TABLE}")
    series = [group for folder in folders for group in scan_series(folder, entry.case)]
    for name, word in (("patient", "patients"), ("study", "examinations")):
        present = sorted({getattr(header, name) for group in series for header in group})
        if len(present) > 1:
            raise InputError(f"the folder of one case holds several {word}", case=entry.case, file=entry.folder,
                             found=", ".join(present), expected="one", todo="give each its own folder")
    return series


def same_image(one: Series, other: Series) -> bool:
    """Whether two series hold the same pixels, whatever the order of their slices."""
    if len(one.slices) != len(other.slices) or one.head.size != other.head.size:
        return False
    return bool((read_series(one).array == read_series(other).array).all())


def _check_layout(root: Path) -> None:
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError("there is no cohort", file=root, found=found, expected=LAYOUT,
                         todo="run `python src/make_phantom.py`, or point ingest.cohort at your own")
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if not names:
        raise InputError("the data folder is empty", file=root, found="no file", expected=LAYOUT,
                         todo="run `python src/make_phantom.py`, or point ingest.cohort at your own")
    if not (root / TABLE).is_file() or not (root / IMAGES).is_dir():
        more = ", ..." if len(names) > SHOWN else ""
        raise InputError("the folder is not a cohort in the Duke layout", file=root, expected=LAYOUT,
                         found=", ".join(names[:SHOWN]) + more, todo="point ingest.cohort at the folder of a cohort")


def _entry(root: Path, row: dict[str, str], line: int) -> Entry:
    case, site, mask = ((row[column] or "").strip() for column in COLUMNS)
    if not case or not site or Path(case).name != case:
        raise InputError("a case has no usable id or site", file=root / TABLE, found=f"line {line}: {row}",
                         expected="an id that names its folder, and a site")
    return Entry(case, site, root / IMAGES / case, root / mask if mask else None)


def _refuse_repeated(root: Path, entries: list[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        key = entry.case.casefold()
        if key in seen:
            raise InputError("two patients have one id", case=entry.case, file=root / TABLE,
                             found=f"{seen[key]} and {entry.case}", expected="an id of its own for each",
                             todo="correct the table")
        seen[key] = entry.case


def _shared(entry: Entry, patient: str, group: list[Entry]) -> InputError:
    others = ", ".join(str(other.folder) for other in group if other is not entry)
    return InputError("two patients have one id", case=entry.case, file=entry.folder,
                      found=f"PatientID {patient} also in {others}", expected="a PatientID of its own for each case",
                      todo="remove the copy, or correct its PatientID")


def _dicom_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() == ".dcm")
