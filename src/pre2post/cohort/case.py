"""Cases: ingested examinations of patients, with phases by role, mask, lesion box and intensity scale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, write_json
from pre2post.image.intensity import IntensityScale
from pre2post.image.masks import Box, to_box

CASES, CASE = "cases.json", "case.json"  # lists of all cases and of one


@dataclass(frozen=True)
class Case:
    """A usable case.

    phases: roles in order of time, such as ("pre", "post1", "post2"). box: the annotated box around the tumour, None
    without annotation; it is independent of the mask. lesions: number of separate lesions in the mask.
    patient: the same key in every cohort, such as "duke:001" in the Duke download and in MAMA-MIA.
    study, pixels: SHA-256 digests of the StudyInstanceUID ("" without one) and of the pre-contrast pixels; cases that
    share either are one examination. predefined_split: "train" or "test" if the cohort's own table states it.
    """

    id: str
    site: str
    phases: tuple[str, ...]
    has_mask: bool
    scale: IntensityScale
    folder: Path
    box: Box | None = None
    lesions: int = 0
    patient: str = ""
    study: str = ""
    pixels: str = ""
    predefined_split: str = ""

    def path(self, role: str) -> Path:
        """Return the file of a phase, or of the "mask". Raises InputError if the case lacks it."""
        present = (*self.phases, "mask") if self.has_mask else self.phases
        if role not in present:
            raise InputError(
                f"the case has no {role}",
                case=self.id,
                file=self.folder,
                found=", ".join(present),
                expected=role,
                hint="choose a phase that every case has, or leave the case out",
            )
        return self.folder / ("mask.nii.gz" if role == "mask" else f"{role}.nii")


def write_case(case: Case, row: Mapping[str, object], settings: Mapping[str, object]) -> None:
    """Write a case, its row of the cohort table and the settings of its ingestion into the folder of its volumes."""
    write_json(
        case.folder / CASE,
        {"case": _to_dict(case), "row": {name: str(value) for name, value in row.items()}, "settings": dict(settings)},
    )


def read_case(folder: Path) -> tuple[Case, dict[str, str]]:
    """Read the case and row that write_case wrote. Raises InputError if they are missing or damaged."""
    content = read_json(folder / CASE)
    try:
        return _to_case(content["case"], folder), content["row"]
    except (KeyError, TypeError) as error:
        raise _unusable(folder / CASE, error) from None


def write_cases(folder: Path, cases: Iterable[Case]) -> None:
    """Write the list of usable cases, sorted by id, into the folder of the volumes."""
    write_json(folder / CASES, [_to_dict(case) for case in sorted(cases, key=lambda case: case.id)])


def read_cases(folder: Path) -> list[Case]:
    """Read the list of usable cases, sorted by id. Raises InputError if it is missing or damaged."""
    try:
        return [_to_case(entry, folder / entry["id"]) for entry in read_json(folder / CASES)]
    except (KeyError, TypeError) as error:
        raise _unusable(folder / CASES, error) from None


def find_cases(ids: Iterable[str], cases: Iterable[Case]) -> list[Case]:
    """Return the cases with these ids, in their order. Raises InputError naming the first missing one."""
    wanted, known = list(ids), {case.id: case for case in cases}
    missing = [case_id for case_id in wanted if case_id not in known]
    if missing:
        raise InputError(
            "a patient of the split was not ingested",
            case=missing[0],
            hint="run `dvc repro split` so that the split fits the cohort",
        )
    return [known[case_id] for case_id in wanted]


def _to_dict(case: Case) -> dict[str, object]:
    return {
        "id": case.id,
        "site": case.site,
        "phases": list(case.phases),
        "has_mask": case.has_mask,
        "low": case.scale.low,
        "high": case.scale.high,
        "box": case.box,
        "lesions": case.lesions,
        "patient": case.patient,
        "study": case.study,
        "pixels": case.pixels,
        "predefined_split": case.predefined_split,
    }


def _to_case(entry: dict[str, Any], folder: Path) -> Case:
    box = to_box(entry["box"]) if entry["box"] else None
    return Case(
        entry["id"],
        entry["site"],
        tuple(entry["phases"]),
        entry["has_mask"],
        IntensityScale(entry["low"], entry["high"]),
        folder,
        box,
        entry["lesions"],
        entry["patient"],
        entry["study"],
        entry["pixels"],
        entry["predefined_split"],
    )


def _unusable(file: Path, error: Exception) -> InputError:
    return InputError(
        "this is not a list of cases", file=file, found=f"no usable {error}", hint="run `dvc repro` again"
    )
