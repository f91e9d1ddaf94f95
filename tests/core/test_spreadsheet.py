"""Spreadsheets are read as texts in a stream, and other files are refused in one line."""

import csv
import time
import zipfile
from itertools import islice

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.core import spreadsheet
from pre2post.core.spreadsheet import iterate_sheet, read_header, read_sheet

TEXTS = (
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=8)
    .map(str.strip)
    .filter(lambda text: not text.startswith("="))
)
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sheets")


def save(path, rows, **more_sheets):
    """Write rows, and further sheets by name, in the format of the suffix."""
    if path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return path
    book = openpyxl.Workbook()
    for name, lines in {book.active.title: rows, **more_sheets}.items():
        sheet = book[name] if name in book.sheetnames else book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


def rewrite(path, change):
    """Change the text of the first sheet by `change`."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[SHEET] = change(parts[SHEET].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5), st.sampled_from([".csv", ".xlsx"]))
def test_rows_are_read_as_written(folder, rows, ending):
    path = save(folder / f"round{ending}", [("a", "b", "c"), *rows])
    assert read_sheet(path) == [dict(zip("abc", row, strict=True)) for row in rows if any(row)]
    assert read_header(path) == ["a", "b", "c"]


def test_cells_become_texts(tmp_path):
    path = save(
        tmp_path / "x.xlsx", [("n", "x", "t", "e", "b"), (3.0, 1.5, "  two ", None, True), (7, 0.1, "3.0", "", 0)]
    )
    assert read_sheet(path) == [
        {"n": "3", "x": "1.5", "t": "two", "e": "", "b": "True"},
        {"n": "7", "x": "0.1", "t": "3.0", "e": "", "b": "0"},
    ]


def test_a_formula_gives_its_saved_value(tmp_path):
    path = save(tmp_path / "x.xlsx", [("a", "b"), ("=1+1", "=1+2")])
    rewrite(
        path,
        lambda text: (
            text.replace("<f>1+1</f><v></v>", "<f>1+1</f><v>42</v>")
            .replace("<f>1+1</f><v/>", "<f>1+1</f><v>42</v>")
            .replace("<f>1+1</f><v />", "<f>1+1</f><v>42</v>")
        ),
    )
    assert read_sheet(path) == [{"a": "42", "b": ""}]


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".XLSX"])
def test_the_header_may_be_in_a_lower_row_and_repeat_names(tmp_path, ending):
    path = save(
        tmp_path / f"x{ending}",
        [("Group", "", "", ""), ("id", "age", "", "id"), (), ("1", "40", "x", "2"), ("", "", "note", ""), ("3",)],
    )
    assert read_sheet(path, header_row=2) == [{"id": "1", "age": "40"}, {"id": "3", "age": ""}]


def test_the_sheet_is_found_by_name_or_is_the_only_one(tmp_path, refused):
    one = save(tmp_path / "one.xlsx", [("a",), (1,)])
    two = save(tmp_path / "two.xlsx", [("a",), (1,)], data=[("a",), (2,)])
    assert read_sheet(one, sheet="data") == read_sheet(two) == [{"a": "1"}]
    assert read_sheet(two, sheet="data") == [{"a": "2"}]
    refused(lambda: read_sheet(two, sheet="else"), str(two), "lacks a sheet", "found: Sheet, data", "expected: else")


def test_cells_outside_the_header_are_notes_in_a_workbook_and_errors_in_csv(tmp_path, refused):
    rows = [("a", "b"), ("1", "2", "", ""), ("1", "2", "3")]
    assert read_sheet(save(tmp_path / "x.xlsx", rows)) == [{"a": "1", "b": "2"}] * 2
    refused(lambda: read_sheet(save(tmp_path / "x.csv", rows)), "more cells than the header", "3 in row 3")


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", encoding="utf-8-sig")
    assert read_sheet(tmp_path / "x.csv") == [{"a": "1", "b": "2"}]


@pytest.mark.filterwarnings("error")  # a file left open is a warning
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_table_is_a_stream(tmp_path, ending, monkeypatch, refused):
    path = save(tmp_path / f"x{ending}", [("a",), (1,), (2,), (3,)])
    monkeypatch.setattr(spreadsheet, "MAX_ROWS", 3)
    assert list(islice(iterate_sheet(path), 2)) == [{"a": "1"}, {"a": "2"}]
    refused(lambda: read_sheet(path), "too long", "more than 3 rows")


def test_declared_empty_cells_take_no_time(tmp_path):
    path = save(tmp_path / "x.xlsx", [("a", "b"), (1, 2)])
    rewrite(path, lambda text: text.replace('ref="A1:B2"', 'ref="A1:XFD1048576"'))
    started = time.monotonic()
    assert read_sheet(path) == [{"a": "1", "b": "2"}]
    assert time.monotonic() - started < 1


def test_a_huge_row_number_is_refused_in_time(tmp_path, monkeypatch, refused):
    path = save(tmp_path / "x.xlsx", [("a",), (1,)])
    rewrite(path, lambda text: text.replace('r="2"', 'r="999999999999"').replace('r="A2"', 'r="A999999999999"'))
    monkeypatch.setattr(spreadsheet, "MAX_ROWS", 5_000)
    refused(lambda: read_sheet(path), "too long", "more than 5000 rows")


def test_too_many_columns_are_refused(tmp_path, refused):
    refused(lambda: read_sheet(save(tmp_path / "x.csv", [["a"] * 2001])), "too wide", "2001 columns", "at most 2000")


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
@pytest.mark.parametrize("rows", [[], [("", " ")]])
def test_a_table_without_header_is_refused(tmp_path, ending, rows, refused):
    path = save(tmp_path / f"x{ending}", rows)
    for read in (read_sheet, read_header):
        refused(lambda read=read: read(path), str(path), "no header", "nothing in row 1", "expected", "what to do")


def workbook(change):
    def write(path):
        save(path, [("a",), *((f"text {number}",) for number in range(300))])
        content = path.read_bytes()
        path.write_bytes(change(content))

    return write


def zipped(**parts):
    def write(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

    return write


@pytest.mark.parametrize(
    "name, make, words",
    [
        ("x.xlsx", lambda path: None, "missing"),
        ("x.csv", lambda path: None, "missing"),
        ("x.xlsx", lambda path: path.mkdir(), "cannot be read"),
        ("x.csv", lambda path: path.mkdir(), "cannot be read"),
        ("x.ods", lambda path: path.touch(), "not a spreadsheet"),
        ("x", lambda path: path.touch(), "not a spreadsheet"),
        ("x.xlsx", lambda path: path.touch(), "the workbook cannot be read"),
        ("x.xlsx", lambda path: path.write_text("a,b\n"), "the workbook cannot be read"),
        ("x.xlsx", workbook(lambda content: content[: len(content) // 2]), "the workbook cannot be read"),
        ("x.xlsx", workbook(lambda content: content[:60] + bytes(200) + content[260:]), "the workbook cannot be read"),
        ("x.xlsx", workbook(lambda content: spreadsheet.COMPOUND + content), "encrypted"),
        ("x.xlsx", zipped(holiday="photo"), "the workbook cannot be read"),
        ("x.xlsx", zipped(bomb=bytes(2 * 1024**2)), "too large when unpacked"),
        ("x.csv", lambda path: path.write_text("a,ä\n", encoding="utf-16"), "not text in UTF-8"),
        ("x.csv", lambda path: path.write_bytes(b"a,b\n1,\0\n"), "damaged"),
        ("x.csv", lambda path: path.write_text('a,b\n1,"2\n'), "damaged"),
        ("x.csv", lambda path: path.write_text("a,b\n1," + "2" * 200_000), "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, name, make, words, refused):
    make(tmp_path / name)
    refused(lambda: read_sheet(tmp_path / name), str(tmp_path / name), words, "found", "expected", "what to do")


def test_a_workbook_with_a_truncated_sheet_is_refused(tmp_path, refused):
    path = save(tmp_path / "x.xlsx", [("a",), (1,), (2,)])
    rewrite(path, lambda text: text[: text.index("</sheetData>")])
    refused(lambda: read_sheet(path), str(path), "the workbook cannot be read", "ParseError")


def test_the_unpacked_size_is_limited(tmp_path, monkeypatch, refused):
    path = save(tmp_path / "x.xlsx", [("a",), (1,)])
    monkeypatch.setattr(spreadsheet, "MAX_BYTES", 100)
    refused(lambda: read_sheet(path), "too large when unpacked", "at most 100")
