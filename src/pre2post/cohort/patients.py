"""Who a patient is, whatever the case is called, and the patients behind a published or a user's list of names."""

import hashlib
import re
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json

PUBLISHED = Path(__file__).with_name("published")
DUKE_SPIE2024 = PUBLISHED / "duke_spie2024.json"  # who trained the released weights, and the published split
RELEASED, UNKNOWN = "duke_spie2024", "unknown"  # words for who trained some weights
DUKE_NAME = re.compile(r"(?:Breast_MRI|DUKE)_(\d{3})")  # in the Duke download, and in MAMA-MIA
DIGITS = 16  # hexadecimal: among a million patients two share a digest with a chance of 3 in 100 million


def patient_of(case) -> str:
    """The patient's key; a case that names no patient is one of its own."""
    return case.patient or case.id


def patient_named(name: str) -> str:
    """The key behind a name in a published list: "duke:001" of Breast_MRI_001 and of DUKE_001, else the name itself."""
    match = DUKE_NAME.fullmatch(name)
    return f"duke:{match[1]}" if match else name


def digest(patient: str) -> str:
    """Stands for a patient's key in files that travel further than the cohort.

    The beginning of its SHA-256: enough to recognise a patient whose key one has. Not a secret, since whoever knows the
    keys can try them.
    """
    return hashlib.sha256(patient.encode()).hexdigest()[:DIGITS]


def training_patients(origin: str) -> list[str] | None:
    """The keys, sorted, of whoever trained some weights; None: unknown.

    `origin` is "duke_spie2024", for the weights released with that paper, "unknown", or a file: splits, of which it is
    gan_train, or a text with one name or key a line. Raises InputError for a file that is missing or names nobody.
    """
    if origin == UNKNOWN:
        return None
    names = _read_names(DUKE_SPIE2024 if origin == RELEASED else Path(origin))
    if not names:
        raise InputError(
            "nobody is listed",
            file=origin,
            expected="one patient or case a line",
            hint=f"list the training patients, or say {UNKNOWN}",
        )
    return sorted({patient_named(name) for name in names})


def _read_names(file: Path) -> list[str]:
    if not file.is_file():
        raise InputError(
            "there is no such list of patients",
            file=file,
            expected=f"{RELEASED}, {UNKNOWN}, splits as JSON, or a text with one patient a line",
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
