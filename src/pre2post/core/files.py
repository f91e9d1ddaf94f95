"""Files appear whole or not at all: they are written under a temporary name and renamed."""

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pre2post.core.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with the same suffixes, and renames it to `path` on success.

    The folder is made when missing. On any error the temporary file is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError when it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content) -> None:
    """Writes `content` as indented JSON; NaN and infinity are refused, since JSON has no word for them."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path):
    """Reads a JSON file. Raises InputError when it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("the file is missing", file=path, hint="run `dvc repro`, or `dvc pull` it") from None
    except ValueError as error:
        raise InputError("this is not JSON", file=path, found=error, hint="delete it and run `dvc repro`") from None


def write_table(path: Path, rows: Sequence[Mapping]) -> None:
    """Writes dictionaries with equal keys as CSV, the keys of the first row being the header.

    Names of files that are no text in UTF-8 are written with backslashes.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads a CSV file with a header into dictionaries of strings. Raises InputError when it is missing or no text.

    A byte order mark, which spreadsheet programs put first, is not part of the first column's name.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise InputError(
            "the table is not text in UTF-8", file=path, found=error, hint="save it as CSV in UTF-8"
        ) from None
    except FileNotFoundError:
        raise InputError("the table is missing", file=path, hint="run `dvc repro`, or `dvc pull` it") from None
