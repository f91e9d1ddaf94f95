"""A case is one patient's examination, ingested: its phases by role, its mask, its intensity scale."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from imaging.masks import Box
from imaging.scale import IntensityScale
from pipeline.errors import InputError
from pipeline.files import read_json, write_json

CASES = "cases.json"


@dataclass(frozen=True)
class Case:
    """A usable case; `phases` are roles in order of time, such as ("pre", "post1", "post2").

    `box` surrounds the tumour, annotated whether there is a mask or not; None where there is no annotation. `lesions`
    counts the separate ones in the mask. `patient` is who this is, whatever the case is called: "duke:001" in the
    Duke download and in MAMA-MIA alike. `study` and `pixels` are SHA-256 digests of the StudyInstanceUID ("" where there
    is none) and of the stored pre-contrast pixels: two cases that share one are one examination.
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

    def path(self, role: str) -> Path:
        """The file of a phase, or of the "mask". Raises InputError when the case has none."""
        present = (*self.phases, "mask") if self.has_mask else self.phases
        if role not in present:
            raise InputError(f"the case has no {role}", case=self.id, file=self.folder, found=", ".join(present),
                             expected=role, todo="choose a phase that every case has, or leave the case out")
        return self.folder / f"{role}.nii.gz"


def write_cases(folder: Path, cases: Iterable[Case]) -> None:
    """Writes the list of usable cases, sorted by id, into the folder of the volumes."""
    write_json(folder / CASES, [
        {"id": case.id, "site": case.site, "phases": list(case.phases), "has_mask": case.has_mask,
         "low": case.scale.low, "high": case.scale.high, "box": case.box, "lesions": case.lesions,
         "patient": case.patient or case.id, "study": case.study, "pixels": case.pixels}
        for case in sorted(cases, key=lambda case: case.id)])


def read_cases(folder: Path) -> list[Case]:
    """Reads the list of usable cases, sorted by id. Raises InputError when it is missing or damaged."""
    try:
        return [Case(entry["id"], entry["site"], tuple(entry["phases"]), entry["has_mask"],
                     IntensityScale(entry["low"], entry["high"]), folder / entry["id"], _box(entry), entry["lesions"],
                     entry["patient"], entry["study"], entry["pixels"])
                for entry in read_json(folder / CASES)]
    except (KeyError, TypeError) as error:
        raise InputError("this is not a list of cases", file=folder / CASES, found=f"no usable {error}",
                         todo="run `dvc repro` again") from None


def find_cases(ids: Iterable[str], cases: Iterable[Case]) -> list[Case]:
    """The cases with these ids, in their order. Raises InputError naming the first that is not among them."""
    wanted, known = list(ids), {case.id: case for case in cases}
    missing = [case_id for case_id in wanted if case_id not in known]
    if missing:
        raise InputError("a patient of the split was not ingested", case=missing[0],
                         todo="run `dvc repro split` so that the split fits the cohort")
    return [known[case_id] for case_id in wanted]


def _box(entry: dict) -> Box | None:
    return tuple(entry["box"]) if entry.get("box") else None
