"""JSON, YAML and CSV files: read with clear errors, written under a temporary name and renamed.

Tracked files hold six significant digits, so that another processor's rounding leaves `git status` clean.
"""

import csv
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, SupportsFloat

import yaml

from pre2post.core.errors import InputError

YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is available


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, with the same suffixes, and rename it to `path` on success.

    Create the folder if it is missing. On any error remove the temporary file and leave `path` unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `folder`, and rename it to `folder` on success; on any error remove it."""
    folder = Path(folder).resolve()
    temporary = folder.with_name(f".{os.getpid()}.tmp.{folder.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, folder)  # fails if `folder` exists and is not empty
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises OSError if the file cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rounded(value: SupportsFloat | None) -> float | None:
    """Round to six significant digits; return None for None, NaN and infinity, which JSON cannot express."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def round_floats(content: Any) -> Any:
    """Apply `rounded` to every float in nested mappings and sequences; leave integers, booleans and text unchanged."""
    if isinstance(content, Mapping):
        return {key: round_floats(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [round_floats(value) for value in content]
    return rounded(content) if _is_float(content) else content


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON. Raises ValueError for NaN and infinity, which JSON cannot express."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises InputError if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("the file is missing", file=path, hint="run `dvc repro`, or `dvc pull` it") from None
    except ValueError as error:
        raise InputError("this is not JSON", file=path, found=error, hint="delete it and run `dvc repro`") from None


def read_yaml(path: Path) -> Any:
    """Read a YAML file without running code in it. Raises InputError if it is missing or not YAML."""
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.load(file, Loader=YAML_LOADER)
    except FileNotFoundError:
        raise InputError("the file is missing", file=path, hint="run from the repository root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("this is not YAML", file=path, found=" ".join(str(error).split())) from None


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write dictionaries with equal keys as CSV; the keys of the first row are the header.

    File names that are not valid UTF-8 are written with backslash escapes.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_tracked_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table that Git tracks: like write_table, with every finite float rounded to six significant digits.

    NaN and infinity remain as they are: CSV, unlike JSON, can express them.
    """
    write_table(
        path,
        [
            {key: rounded(value) if _is_float(value) and math.isfinite(value) else value for key, value in row.items()}
            for row in rows
        ],
    )


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header into dictionaries of strings. Raises InputError if it is missing or not UTF-8.

    A byte order mark, which spreadsheet programs write first, is not part of the first column's name.
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


def _is_float(value: object) -> bool:
    """Return whether this is a floating point number, of Python or NumPy; integers and booleans are not."""
    return isinstance(value, Real) and not isinstance(value, Integral)
