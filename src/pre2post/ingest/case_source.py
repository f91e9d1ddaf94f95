"""The files and table entries of one case, as a layout finds them before any image is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pre2post.ingest.boxes import Annotation

MAX_ID_BYTES = 200  # file systems allow 255, and names derived from the id are longer than the id
RESERVED_SUFFIXES = (".json", ".csv")  # of the files next to the folders of the cases


@dataclass(frozen=True)
class CaseSource:
    """The sources of one case of a cohort.

    images: the folder of its DICOM files, or its volume files by role ("pre", "post1", ...) in order of time.
    patient: identity across cohorts ("duke:001" in the Duke download and in MAMA-MIA); all cases of a patient are in
        the same split.
    roles: roles that a table assigns to series, "" for no phase; keys are SeriesInstanceUID or "#" and SeriesNumber.
    facts: values from the tables of the cohort: "manufacturer", "model", "field_strength_t", "times_s" (seconds of the
        phases, separated by spaces), "mask" ("automatic" if no expert drew it), "predefined_split" ("train" or "test").
    """

    case: str
    site: str
    images: Path | Mapping[str, Path]
    mask: Path | None = None
    box: Annotation | None = None
    patient: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The cases in a folder, sorted by id, and the reason why anything else there is not a case, by name."""

    sources: list[CaseSource]
    unlisted: Mapping[str, str] = field(default_factory=dict)


def can_name_a_case(text: str) -> bool:
    """Return whether a text can be the id of a case: printable, and a visible folder name without a reserved suffix."""
    return (
        text.isprintable()
        and text not in ("", ".", "..")
        and text[0] != "."
        and not set(text) & {"/", "\\"}
        and len(text.encode()) <= MAX_ID_BYTES
        and not text.lower().endswith(RESERVED_SUFFIXES)
    )
