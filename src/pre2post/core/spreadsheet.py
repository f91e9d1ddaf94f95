"""Spreadsheets, .xlsx or .csv, as streams of dictionaries of strings; some have 770,000 rows.

Formulas are never evaluated: the value saved with a formula is read.
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

MAX_ROWS = 2_000_000  # about twice the limit of .xlsx; a damaged file may hold any row number
MAX_COLUMNS = 2_000  # clinical tables have about 100; .xlsx can declare 16,384 empty ones
MAX_BYTES = 2 * 1024**3  # of all parts of a workbook, unpacked; a table of 770,000 paths has about 0.4 GB
MAX_COMPRESSION = 200  # ratio: the text of a workbook reaches 5 to 50, a zip bomb 1,000
HARMLESS_BYTES = 1024**2  # parts up to this size may have any ratio: they cannot fill the memory
COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")  # first bytes of an encrypted workbook, or of an old one (.xls)

Row = tuple[str, ...]


def read_sheet(path: Path, header_row: int = 1, sheet: str | None = None) -> list[dict[str, str]]:
    """Read all rows as iterate_sheet does, with the same errors."""
    return list(iterate_sheet(path, header_row, sheet))


def iterate_sheet(path: Path, header_row: int = 1, sheet: str | None = None) -> Iterator[dict[str, str]]:
    """Yield the rows below the header as stripped texts by column name.

    An empty cell is "", a whole number has no ".0". Empty rows and columns without a name are skipped; of two columns
    with one name the first counts.

    Args:
        path: a .csv or .xlsx file.
        header_row: row of the column names, from 1.
        sheet: name of a sheet of the workbook. If None, or absent from a workbook with one sheet, take the first.

    Raises InputError if the file is missing, damaged, encrypted, too large or not a spreadsheet, if it has no header,
    if none of several sheets has the name, or if a line of .csv has more cells than the header.
    """
    path = Path(path)
    rows = _rows(path, sheet)
    names = _header(rows, header_row, path)
    columns, strict = {name: names.index(name) for name in names if name}, path.suffix.lower() == ".csv"
    for line, row in enumerate(rows, start=header_row + 1):
        if strict and any(row[len(names) :]):  # in a workbook it is a note next to the table
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
    """Return the column names up to the last named column, "" for none. Raises InputError as iterate_sheet does."""
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
            expected="column names",
            hint="write them there",
        )
    if len(names) > MAX_COLUMNS:
        raise InputError(
            "the table is too wide",
            file=path,
            found=f"{len(names)} columns",
            expected=f"at most {MAX_COLUMNS}",
            hint="remove unneeded columns",
        )
    return names


def _rows(path: Path, sheet: str | None) -> Iterator[Row]:
    """Yield every row as stripped texts, including empty rows."""
    readers = {".csv": lambda: _csv_rows(path), ".xlsx": lambda: _xlsx_rows(path, sheet)}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            "this is not a spreadsheet",
            file=path,
            found=path.suffix or "no suffix",
            expected=" or ".join(readers),
            hint="save the table in one of these formats",
        )
    for number, row in enumerate(reader(), start=1):
        if number > MAX_ROWS:
            raise InputError(
                "the table is too long",
                file=path,
                found=f"more than {MAX_ROWS} rows",
                expected="one sheet of rows",
                hint="save it without the empty rows at its end",
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
            _check_archive(file, path)
            yield from _cells(file, path, sheet)
        except InputError:
            raise
        except Exception as error:  # openpyxl raises many kinds of error on damaged parts
            raise InputError(
                "the workbook cannot be read",
                file=path,
                found=f"{type(error).__name__}: {error}",
                expected="an .xlsx file",
                hint="download it again, or save it again as .xlsx",
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
                hint="rename the sheet",
            )
        first = next(iter(sheets.values()))
        chosen = first if sheet is None else sheets.get(sheet, first)
        chosen.reset_dimensions()  # the declared size may be wrong
        for row in chosen.iter_rows(values_only=True):
            yield tuple(_text(value) for value in row)
    finally:
        book.close()


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _check_archive(file: BinaryIO, path: Path) -> None:
    if file.read(len(COMPOUND)) == COMPOUND:
        raise InputError(
            "the workbook is encrypted, or has the old format .xls",
            file=path,
            found="a compound file",
            expected="an .xlsx file without a password",
            hint="save it in this format",
        )
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    steep = any(part.file_size > max(HARMLESS_BYTES, MAX_COMPRESSION * part.compress_size) for part in parts)
    total = sum(part.file_size for part in parts)
    if steep or total > MAX_BYTES:
        raise InputError(
            "the workbook is too large when unpacked",
            file=path,
            found=f"{total} bytes",
            expected=f"at most {MAX_BYTES}, no part compressed more than {MAX_COMPRESSION} times",
            hint="save only this sheet, or save it as CSV",
        )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block forever
            raise OSError(None, "not a regular file")
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
            hint="check the file and its permissions",
        ) from None
