"""The layout of the MAMA-MIA dataset: 1,506 examinations of four public cohorts, as NIfTI.

The file of a phase ends in its number, 0000 before contrast; a number that is absent stays absent. Tables are optional.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.spreadsheet import read_header, read_sheet
from pre2post.ingest.case_source import CaseSource, Listing
from pre2post.ingest.phases import role

NAME = "mama_mia"
EXPECTED = (
    "images/<ID>/<id>_0000.nii.gz, _0001, ..., and if there are any segmentations/expert/<id>.nii.gz, "
    "segmentations/automatic/<id>.nii.gz, clinical_and_imaging_info.xlsx, train_test_splits.csv"
)

IMAGES = "images"
MASKS = ("automatic", "expert")  # folders of segmentations, the better one last
INFORMATION, SHEET = "clinical_and_imaging_info.xlsx", "dataset_info"
SPLITS = "train_test_splits.csv"
PARTS = {"train_split": "train", "test_split": "test"}
ENDING = ".nii.gz"
ID = re.compile(r"(DUKE|ISPY1|ISPY2|NACT)_([0-9]+)", re.I | re.A)
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.A)


def recognises(root: Path) -> bool:
    """Whether a folder below images/ has an id of this dataset."""
    try:
        return any(ID.fullmatch(item.name) and item.is_dir() for item in os.scandir(Path(root) / IMAGES))
    except (OSError, ValueError):
        return False


def read_listing(root: Path) -> Listing:
    """The cases below images/, ids in capitals, each with its expert mask or else its automatic one.

    `facts` hold manufacturer, field_strength_t and times_s as far as the table has them in a usable form,
    "published_part" ("train" or "test") and "mask" ("automatic") where it is not the expert's. Raises InputError when
    there is no folder of images, two things have one id, or a table cannot be used or contradicts itself or the ids.
    """
    root = Path(root)
    if not (root / IMAGES).is_dir():
        raise InputError(
            "the folder is not MAMA-MIA",
            file=root,
            found=f"no folder {IMAGES}",
            expected=EXPECTED,
            hint="fetch the dataset, or point ingest.cohort at the folder that holds it",
        )
    folders = {case: path for case, path in _by_id(root / IMAGES).items() if path.is_dir()}
    masks = {kind: _by_id(root / "segmentations" / kind, ENDING) for kind in MASKS}
    table, parts = _information(root / INFORMATION), _published_parts(root / SPLITS)
    unlisted = {
        case: f"no folder of images, though {file} lists it"
        for file, ids in ((SPLITS, parts), (INFORMATION, table))
        for case in ids
        if case not in folders
    }
    unlisted |= {
        str(path.relative_to(root)): f"no folder {IMAGES}/{case}"
        for found in masks.values()
        for case, path in found.items()
        if case not in folders
    }
    entries = []
    for case, folder in folders.items():
        phases, strangers = _phases(case, folder)
        unlisted |= {str(path.relative_to(root)): f"not named after {case}" for path in strangers}
        if phases and ID.fullmatch(case):
            best = {kind: found[case] for kind, found in masks.items() if case in found}
            facts = {"published_part": parts[case]} if case in parts else {}
            entries.append(_entry(case, phases, best, facts | _facts(table.get(case, {}), phases)))
        else:
            unlisted[folder.name] = (
                f"no file {case}_0000{ENDING}, _0001, ..." if ID.fullmatch(case) else "the name is no id of MAMA-MIA"
            )
    return Listing(sorted(entries, key=lambda entry: entry.case), dict(sorted(unlisted.items())))


def _by_id(folder: Path, ending: str = "") -> dict[str, Path]:
    """What lies in a folder, by its name in capitals without `ending`; other names and hidden ones are left aside."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(
            "this should be a folder",
            file=folder,
            found="a file, or a link that is_main_process nowhere",
            expected=EXPECTED,
            hint="put the folder there, or remove it",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or not path.name.lower().endswith(ending):
            continue
        case = path.name[: len(path.name) - len(ending)].upper()
        if case in found:
            raise InputError(
                "two names differ in case only",
                file=folder,
                expected="one of them",
                found=f"{found[case].name} and {path.name}",
                hint="remove the copy",
            )
        found[case] = path
    return found


def _phases(case: str, folder: Path) -> tuple[dict[int, Path], list[Path]]:
    """Files of the phases by number, rising, and the volumes in the folder that are named after something else."""
    found, strangers = {}, []
    for name, path in _by_id(folder, ENDING).items():
        match = re.fullmatch(rf"{re.escape(case)}_([0-9]{{4}})", name, re.A)
        if match:
            found[int(match[1])] = path
        else:
            strangers.append(path)
    return dict(sorted(found.items())), strangers


def _entry(case: str, phases: Mapping[int, Path], masks: Mapping[str, Path], facts: dict[str, str]) -> CaseSource:
    source, number = ID.fullmatch(case.lower()).groups()
    kind = max(masks, key=MASKS.index, default=None)
    if kind == "automatic":
        facts["mask"] = kind
    return CaseSource(
        case,
        source,
        {role(index): path for index, path in phases.items()},
        masks.get(kind),
        patient=f"{source}:{number}",
        facts=facts,
    )


def _information(file: Path) -> dict[str, dict[str, str]]:
    """Lines of the table of cases by id in capitals; none where there is no table."""
    found: dict[str, dict[str, str]] = {}
    for row in _rows(file, ("patient_id",), SHEET):
        case, source = row["patient_id"].upper(), row.get("dataset", "").upper()
        if not case:
            continue
        if case in found:
            raise InputError(
                "the table lists a case twice",
                case=case,
                file=file,
                found="two lines",
                expected="one line a case",
                hint="remove one of them",
            )
        if source and ID.fullmatch(case) and not case.startswith(f"{source}_"):
            raise InputError(
                "the table contradicts the id of a case",
                case=case,
                file=file,
                found=f"the dataset {source}",
                expected=case.split("_")[0],
                hint="correct the line",
            )
        found[case] = row
    return found


def _published_parts(file: Path) -> dict[str, str]:
    """ "train" or "test" by id in capitals, as published; none where there is no table."""
    found: dict[str, str] = {}
    for row in _rows(file, PARTS):
        for column, part in PARTS.items():
            case = row[column].upper()
            if case and found.setdefault(case, part) != part:
                raise InputError(
                    "the table puts a case into both parts",
                    case=case,
                    file=file,
                    found="train and test",
                    expected="one of them",
                    hint="correct the table",
                )
    return found


def _rows(file: Path, needed: Iterable[str], sheet: str | None = None) -> list[dict[str, str]]:
    if not file.exists():
        return []
    header = read_header(file, sheet=sheet)
    absent = [column for column in needed if column not in header]
    if absent:
        raise InputError(
            "this is not the table of MAMA-MIA",
            file=file,
            found=f"no column {absent[0]}",
            expected=", ".join(needed),
            hint="fetch it again, or take it away",
        )
    return read_sheet(file, sheet=sheet)


def _facts(row: Mapping[str, str], phases: Mapping[int, Path]) -> dict[str, str]:
    strength = NUMBER.search(row.get("field_strength", ""))
    facts = {
        "manufacturer": row.get("manufacturer", ""),
        "field_strength_t": f"{float(strength[0]):g}" if strength else "",
        "times_s": _times(row.get("acquisition_times", ""), phases),
    }
    return {name: value for name, value in facts.items() if value}


def _times(text: str, phases: Iterable[int]) -> str:
    """Seconds of the phases, from a text such as "[0, 584, 714]"; "" unless every phase has one, and they rise."""
    try:
        listed = [float(part) for part in text.strip("[]").split(",")]
        times = [listed[number] for number in phases]
    except (ValueError, IndexError):
        return ""
    usable = all(map(math.isfinite, times)) and times == sorted(set(times))
    return " ".join(f"{time:g}" for time in times) if usable else ""
