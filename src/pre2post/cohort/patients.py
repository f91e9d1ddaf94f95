"""The identity of patients across cohorts, and the training patients in a published or a user's list."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pre2post.core.errors import InputError
from pre2post.core.files import read_json

if TYPE_CHECKING:
    from pre2post.cohort.case import Case

PUBLISHED = Path(__file__).with_name("published")
DUKE_SPIE2024 = PUBLISHED / "duke_spie2024.json"  # training patients of the released weights, and the published split
RELEASED, UNKNOWN = "duke_spie2024", "unknown"  # names for the training patients of weights
DUKE_NAME = re.compile(r"(?:Breast_MRI|DUKE)_(\d{3})")  # in the Duke download, and in MAMA-MIA
DIGITS = 16  # hexadecimal: two of a million patients share a digest with a probability of 3 in 100 million


def patient_of(case: "Case") -> str:
    """Return the patient's key; a case that names no patient counts as a patient of its own."""
    return case.patient or case.id


def patient_named(name: str) -> str:
    """Return the key for a name in a list: "duke:001" for Breast_MRI_001 and DUKE_001, else the name itself."""
    match = DUKE_NAME.fullmatch(name)
    return f"duke:{match[1]}" if match else name


def digest(patient: str) -> str:
    """Return the first digits of the SHA-256 of a patient's key, for files that are shared without the cohort.

    It identifies a patient whose key is known. It is not a secret: the hash is unsalted, so all possible keys can be
    tried.
    """
    return hashlib.sha256(patient.encode()).hexdigest()[:DIGITS]


def training_patients(origin: str) -> list[str] | None:
    """Return the sorted keys of the training patients of some weights; None if unknown.

    `origin` is "duke_spie2024" for the weights released with that paper, "unknown", or a file: splits as JSON, of which
    gan_train counts, or a text with one name or key per line. Raises InputError for a missing or empty list.
    """
    if origin == UNKNOWN:
        return None
    names = _read_names(DUKE_SPIE2024 if origin == RELEASED else Path(origin))
    if not names:
        raise InputError(
            "the list names no patient",
            file=origin,
            expected="one patient or case per line",
            hint=f"list the training patients, or use {UNKNOWN}",
        )
    return sorted({patient_named(name) for name in names})


def _read_names(file: Path) -> list[str]:
    if not file.is_file():
        raise InputError(
            "the list of patients is missing",
            file=file,
            expected=f"{RELEASED}, {UNKNOWN}, splits as JSON, or a text with one patient per line",
        )
    if file.suffix == ".json":
        try:
            return [*map(str, read_json(file)["gan_train"])]
        except (KeyError, TypeError) as error:
            raise InputError(
                "these are not splits", file=file, found=f"no usable {error}", expected="gan_train, a list of names"
            ) from None
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError("the list is not text in UTF-8", file=file, found=error) from None
