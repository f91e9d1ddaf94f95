"""Rows of a spreadsheet, .xlsx or .csv, as dictionaries of strings; read as a stream, since some have 770,000 rows.

Only what is stored is read: of a formula the value that was saved with it, and nothing is ever evaluated.
"""

import csv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pre2post.core.errors import InputError

MOST_ROWS = 2_000_000  # about twice what .xlsx can hold; a damaged file may number its rows up to anything
MOST_COLUMNS = 2_000  # clinical tables have about 100; .xlsx can declare 16,384 of nothing
MOST_BYTES = 2 * 1024**3  # unpacked, all parts of a workbook; a table of 770,000 paths has about 0.4 GB
PACKED_AT_MOST = 200  # times smaller than unpacked: text of a workbook packs 5 to 50 times, a zip bomb 1,000 times
HARMLESS_BYTES = 1024**2  # parts up to this size may pack as they like: they cannot fill the memory
COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")  # how an encrypted workbook starts, and one of the old kind (.xls)

Row = tuple[str, ...]


def read_sheet(path: Path, header_row: int = 1, sheet: str | None = None) -> list[dict[str, str]]:
    """All rows of iterate_sheet, which says what they are and which errors are raised."""
    return list(iterate_sheet(path, header_row, sheet))


def iterate_sheet(path: Path, header_row: int = 1, sheet: str | None = None) -> Iterator[dict[str, str]]:
    """Rows below the header as stripped texts by column name: "" for an empty cell, whole numbers without ".0".

    The names stand in row `header_row`, from 1; of two equal ones the first counts, and a column without a name is left
    aside, as are empty rows. `sheet` names one of a workbook; where it is absent, or None, the only one or the first
    is taken. Raises InputError when the file is missing, damaged, encrypted, too large or no spreadsheet, when it has
    no header, several sheets but not the one named, or a line of .csv has more cells than the header.
    """
    path = Path(path)
    rows = _rows(path, sheet)
    names = _header(rows, header_row, path)
    columns, strict = {name: names.index(name) for name in names if name}, path.suffix.lower() == ".csv"
    for line, row in enumerate(rows, start=header_row + 1):
        if strict and any(row[len(names) :]):  # in a workbook it is a note beside the table
            raise InputError(
                "a line has more cells than the header",
                file=path,
                found=f"{len(row)} in row {line}",
                expected=f"at most {len(names)}",
                hint="put a text that has a comma in double quotes",
            )
        cells = {name: row[place] if place < len(row) else "" for name, place in columns.items()}
        if any(cells.values()):
            yield cells


def read_header(path: Path, header_row: int = 1, sheet: str | None = None) -> list[str]:
    """Names of the columns up to the last that has one, "" for none. Raises InputError as iterate_sheet does."""
    path = Path(path)
    return _header(_rows(path, sheet), header_row, path)


def _header(rows: Iterator[Row], header_row: int, path: Path) -> list[str]:
    names = list(next(islice(rows, header_row - 1, None), ()))
    while names and not names[-1]:
        names.pop()
    if not names:
        raise InputError(
            "the table has no header",
            file=path,
            found=f"nothing in row {header_row}",
            expected="the names of the columns",
            hint="write them there",
        )
    if len(names) > MOST_COLUMNS:
        raise InputError(
            "the table is too wide",
            file=path,
            found=f"{len(names)} columns",
            expected=f"at most {MOST_COLUMNS}",
            hint="remove the columns that are not needed",
        )
    return names


def _rows(path: Path, sheet: str | None) -> Iterator[Row]:
    """Every row as stripped texts, the empty ones too."""
    readers = {".csv": lambda: _csv_rows(path), ".xlsx": lambda: _xlsx_rows(path, sheet)}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            "this is no spreadsheet",
            file=path,
            found=path.suffix or "a name without ending",
            expected=" or ".join(readers),
            hint="save the table in one of these forms",
        )
    for number, row in enumerate(reader(), start=1):
        if number > MOST_ROWS:
            raise InputError(
                "the table is too long",
                file=path,
                found=f"more than {MOST_ROWS} rows",
                expected="one sheet of rows",
                hint="save it again without the empty rows at its end",
            )
        yield row


def _csv_rows(path: Path) -> Iterator[Row]:
    hint = "save it as CSV in UTF-8, with commas between the cells"
    with _opened(path) as file, TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        try:
            for cells in csv.reader(text, strict=True):
                if any("\0" in cell for cell in cells):
                    raise csv.Error("a zero byte")
                yield tuple(cell.strip() for cell in cells)
        except UnicodeDecodeError as error:
            raise InputError(
                "the table is not text in UTF-8", file=path, found=error, expected="CSV", hint=hint
            ) from None
        except csv.Error as error:
            raise InputError("the table is damaged", file=path, found=error, expected="CSV", hint=hint) from None


def _xlsx_rows(path: Path, sheet: str | None) -> Iterator[Row]:
    with _opened(path) as file:
        try:
            _refuse_what_cannot_be_opened(file, path)
            yield from _cells(file, path, sheet)
        except InputError:
            raise
        except Exception as error:  # openpyxl raises whatever a damaged part is_main_process it to
            raise InputError(
                "this is no readable workbook",
                file=path,
                found=f"{type(error).__name__}: {error}",
                expected="an .xlsx file",
                hint="fetch it again, or save it again as .xlsx",
            ) from None


def _cells(file: BinaryIO, path: Path, sheet: str | None) -> Iterator[Row]:
    from openpyxl import load_workbook

    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        sheets = {one.title: one for one in book.worksheets}
        if not sheets or (sheet is not None and sheet not in sheets and len(sheets) > 1):
            raise InputError(
                "the workbook lacks a sheet",
                file=path,
                found=", ".join(sheets) or "no sheet",
                expected=sheet or "a sheet",
                hint="give the sheet that name",
            )
        chosen = sheets.get(sheet, next(iter(sheets.values())))
        chosen.reset_dimensions()  # the size that the file declares may be wrong
        for row in chosen.iter_rows(values_only=True):
            yield tuple(_text(value) for value in row)
    finally:
        book.close()


def _text(value) -> str:
    if value is None:
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _refuse_what_cannot_be_opened(file: BinaryIO, path: Path) -> None:
    if file.read(len(COMPOUND)) == COMPOUND:
        raise InputError(
            "the workbook is encrypted, or of the old kind",
            file=path,
            found="a compound file",
            expected="an .xlsx file without a password",
            hint="save it so",
        )
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    steep = any(part.file_size > max(HARMLESS_BYTES, PACKED_AT_MOST * part.compress_size) for part in parts)
    total = sum(part.file_size for part in parts)
    if steep or total > MOST_BYTES:
        raise InputError(
            "the workbook is too large when unpacked",
            file=path,
            found=f"{total} bytes",
            expected=f"at most {MOST_BYTES}, no part packed more than {PACKED_AT_MOST} times",
            hint="save the sheet alone, or as CSV",
        )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise OSError(None, "no regular file")
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError(
            "the table is missing", file=path, found="no such file", expected="a spreadsheet", hint="put it there"
        ) from None
    except OSError as error:
        raise InputError(
            "the table cannot be read",
            file=path,
            found=error.strerror,
            expected="a spreadsheet",
            hint="look at the file and its permissions",
        ) from None
