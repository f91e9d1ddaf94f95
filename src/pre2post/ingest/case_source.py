"""What a layout tells about one case before any image is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pre2post.ingest.boxes import Annotation

LONGEST_ID = 200  # bytes: file systems end at 255, and temporary names and notes are longer than the id
TAKEN = (".json", ".csv")  # how the names of notes and tables end that lie beside the folders of the cases


@dataclass(frozen=True)
class CaseSource:
    """One case of a cohort.

    `images` is the folder below which its DICOM files lie, or its volume files by role ("pre", "post1", ...), already
    in order of time. `patient` is who this is wherever the case appears ("duke:001" in the Duke download and in
    MAMA-MIA alike): cases of one patient never part. `roles` are what a table says of some series: role, or "" for
    none, by SeriesInstanceUID, or by "#" and SeriesNumber. `facts` are what the cohort's tables know and the files may
    not: "manufacturer", "model", "field_strength_t", "times_s" (seconds of the phases, separated by spaces), "mask"
    ("automatic" where no expert drew it), "published_part" ("train" or "test").
    """

    case: str
    site: str
    images: Path | Mapping[str, Path]
    mask: Path | None = None
    box: Annotation | None = None
    patient: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def can_name_a_case(text: str) -> bool:
    """Whether a text from a table can be an id: the name of a folder, which shows as it is."""
    return (
        text.isprintable()
        and text not in ("", ".", "..")
        and text[0] != "."
        and not set(text) & {"/", "\\"}
        and len(text.encode()) <= LONGEST_ID
        and not text.lower().endswith(TAKEN)
    )


@dataclass(frozen=True)
class Listing:
    """What a layout finds in a folder: the cases, sorted by id, and what is there but can be none, with the reason."""

    entries: list[CaseSource]
    unlisted: Mapping[str, str] = field(default_factory=dict)
