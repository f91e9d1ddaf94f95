"""The layout of the MAMA-MIA dataset: 1,506 examinations of four public cohorts as NIfTI.

The file name of a phase ends in its number, 0000 before contrast; missing numbers are not filled. Tables are optional.
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
    "images/<ID>/<id>_0000.nii.gz, _0001, ..., and optionally segmentations/expert/<id>.nii.gz, "
    "segmentations/automatic/<id>.nii.gz, clinical_and_imaging_info.xlsx, train_test_splits.csv"
)

IMAGES = "images"
MASKS = ("automatic", "expert")  # folders of segmentations; the last one takes precedence
INFORMATION, SHEET = "clinical_and_imaging_info.xlsx", "dataset_info"
SPLITS = "train_test_splits.csv"
SPLIT_COLUMNS = {"train_split": "train", "test_split": "test"}
ENDING = ".nii.gz"
ID = re.compile(r"(DUKE|ISPY1|ISPY2|NACT)_([0-9]+)", re.I | re.A)
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.A)


def recognises(root: Path) -> bool:
    """Return whether a folder below images/ has an id of this dataset."""
    try:
        return any(ID.fullmatch(item.name) and item.is_dir() for item in os.scandir(Path(root) / IMAGES))
    except (OSError, ValueError):
        return False


def read_listing(root: Path) -> Listing:
    """Return the cases below images/, ids in capitals, each with its expert mask or otherwise its automatic one.

    `facts` contain manufacturer, field_strength_t and times_s where the table has usable values, "predefined_split"
    ("train" or "test"), and "mask" ("automatic") if there is no expert mask. Raises InputError without a folder of
    images, for two names of one id, and for a table that is unusable or contradicts itself or the ids.
    """
    root = Path(root)
    if not (root / IMAGES).is_dir():
        raise InputError(
            "the folder is not MAMA-MIA",
            file=root,
            found=f"no folder {IMAGES}",
            expected=EXPECTED,
            hint="download the dataset, or set ingest.cohort to its folder",
        )
    folders = {case: path for case, path in _by_id(root / IMAGES).items() if path.is_dir()}
    masks = {kind: _by_id(root / "segmentations" / kind, ENDING) for kind in MASKS}
    table, splits = _information(root / INFORMATION), _predefined_splits(root / SPLITS)
    unlisted = {
        case: f"in {file}, but without a folder of images"
        for file, ids in ((SPLITS, splits), (INFORMATION, table))
        for case in ids
        if case not in folders
    }
    unlisted |= {
        str(path.relative_to(root)): f"no folder {IMAGES}/{case}"
        for masks_of_kind in masks.values()
        for case, path in masks_of_kind.items()
        if case not in folders
    }
    sources = []
    for case, folder in folders.items():
        phases, others = _phases(case, folder)
        unlisted |= {str(path.relative_to(root)): f"not named after {case}" for path in others}
        match = ID.fullmatch(case)
        if match and phases:
            facts = {"predefined_split": splits[case]} if case in splits else {}
            facts |= _facts(table.get(case, {}), phases)
            dataset, number = match[1].lower(), match[2]
            kind = next((kind for kind in reversed(MASKS) if case in masks[kind]), None)
            sources.append(
                CaseSource(
                    case,
                    site=dataset,
                    images={role(index): path for index, path in phases.items()},
                    mask=masks[kind][case] if kind else None,
                    patient=f"{dataset}:{number}",
                    facts=facts | ({"mask": kind} if kind == "automatic" else {}),
                )
            )
        else:
            unlisted[folder.name] = (
                f"no file {case}_0000{ENDING}, _0001, ..." if match else "the name is not an id of MAMA-MIA"
            )
    return Listing(sorted(sources, key=lambda source: source.case), dict(sorted(unlisted.items())))


def _by_id(folder: Path, ending: str = "") -> dict[str, Path]:
    """Return the content of a folder by name in capitals without `ending`; skip other and hidden names."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(
            "this should be a folder",
            file=folder,
            found="a file or a broken link",
            expected=EXPECTED,
            hint="replace it by the folder, or remove it",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or not path.name.lower().endswith(ending):
            continue
        case = path.name[: len(path.name) - len(ending)].upper()
        if case in found:
            raise InputError(
                "two names differ only in upper and lower case",
                file=folder,
                expected="one of them",
                found=f"{found[case].name} and {path.name}",
                hint="remove the copy",
            )
        found[case] = path
    return found


def _phases(case: str, folder: Path) -> tuple[dict[int, Path], list[Path]]:
    """Return the files of the phases by rising number, and the volumes in the folder with other names."""
    found: dict[int, Path] = {}
    others: list[Path] = []
    for name, path in _by_id(folder, ENDING).items():
        match = re.fullmatch(rf"{re.escape(case)}_([0-9]{{4}})", name, re.A)
        if match:
            found[int(match[1])] = path
        else:
            others.append(path)
    return dict(sorted(found.items())), others


def _information(file: Path) -> dict[str, dict[str, str]]:
    """Return the lines of the table of cases by id in capitals; nothing without a table."""
    found: dict[str, dict[str, str]] = {}
    for row in _rows(file, ("patient_id",), SHEET):
        case, dataset = row["patient_id"].upper(), row.get("dataset", "").upper()
        if not case:
            continue
        if case in found:
            raise InputError(
                "the table lists a case twice",
                case=case,
                file=file,
                found="two lines",
                expected="one line per case",
                hint="remove one of them",
            )
        if dataset and ID.fullmatch(case) and not case.startswith(f"{dataset}_"):
            raise InputError(
                "the table contradicts the id of a case",
                case=case,
                file=file,
                found=f"the dataset {dataset}",
                expected=case.split("_")[0],
                hint="correct the line",
            )
        found[case] = row
    return found


def _predefined_splits(file: Path) -> dict[str, str]:
    """Return the published split, "train" or "test", by id in capitals; nothing without a table."""
    found: dict[str, str] = {}
    for row in _rows(file, SPLIT_COLUMNS):
        for column, split in SPLIT_COLUMNS.items():
            case = row[column].upper()
            if case and found.setdefault(case, split) != split:
                raise InputError(
                    "the table lists a case in both splits",
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
            hint="download it again, or remove it",
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
    """Return the seconds of the phases from a text such as "[0, 584, 714]"; "" unless all are present and rise."""
    try:
        seconds = [float(word) for word in text.strip("[]").split(",")]
        times = [seconds[number] for number in phases]
    except (ValueError, IndexError):
        return ""
    usable = all(map(math.isfinite, times)) and times == sorted(set(times))
    return " ".join(f"{time:g}" for time in times) if usable else ""
