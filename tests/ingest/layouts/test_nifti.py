"""A user's own table of volumes: read without loss, refused if it is ambiguous."""

import csv
from unicodedata import normalize

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.ingest.case_source import can_name_a_case
from pre2post.ingest.layouts.nifti import read_listing, recognises

HEADER = ("case", "phase", "path")
NAMES = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/\\") | st.just(" "),
        min_size=1,
        max_size=8,
    )
    .map(str.strip)
    .filter(lambda text: can_name_a_case(text) and not text.startswith("="))
)


def save(root, rows, name="cases.csv", header=HEADER):
    root.mkdir(exist_ok=True)
    if name.endswith(".csv"):
        with open(root / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    else:
        book = openpyxl.Workbook()
        for row in (header, *rows):
            book.active.append(row)
        book.save(root / name)


COHORTS = st.dictionaries(
    NAMES, st.tuples(st.sets(st.integers(1, 20), max_size=3), NAMES, st.booleans()), min_size=1, max_size=3
).filter(lambda cases: len({normalize("NFC", case.casefold()) for case in cases}) == len(cases))


@pytest.mark.parametrize("name", ["cases.csv", "cases.xlsx"])
@given(cases=COHORTS, data=st.data())
def test_a_table_is_read_as_written(tmp_path_factory, name, cases, data):
    root = tmp_path_factory.mktemp("cohort")
    rows, expected = [], []
    for number, (case, (posts, word, absolute)) in enumerate(sorted(cases.items())):
        phases = ["pre", *(f"post{post}" for post in sorted(posts))]
        folder = f"{'/volumes' if absolute else 'volumes'}/{number}/{word}"
        rows += [(case, phase, f"{folder}/{phase}.nii.gz") for phase in phases]
        expected.append((case, "own", case, [(phase, root / folder / f"{phase}.nii.gz") for phase in phases], None, {}))
    save(root, data.draw(st.permutations(rows)), name)
    assert recognises(root)
    listing = read_listing(root)
    assert listing.unlisted == {}
    assert [
        (source.case, source.site, source.patient, list(source.images.items()), source.mask, source.facts)
        for source in listing.sources
    ] == expected


@pytest.mark.parametrize("name", ["cases.csv", "cases.xlsx"])
def test_optional_columns_are_read(tmp_path, name):
    header = (*HEADER, "mask", "site", "patient", "manufacturer", "field_strength_t", "time_s", "remark")
    save(
        tmp_path,
        [
            ("A", "post1", "a1.nii", "", "Ghent", "", "Philips", "", 100.5, "x"),
            ("A", "pre", "a0.nii", "m/a.nii", "", "w:1", "Philips", 3.0, 10, ""),
            ("B", "pre", "/b0.nii", "/b.nii", "", "w:1", "", "", "", ""),
        ],
        name,
        header,
    )
    first, second = read_listing(tmp_path).sources
    assert (first.site, first.patient, first.mask) == ("Ghent", "w:1", tmp_path / "m/a.nii")
    assert list(first.images) == ["pre", "post1"]
    assert first.facts == {"manufacturer": "Philips", "field_strength_t": "3", "times_s": "0 90.5"}
    assert (second.site, second.patient, str(second.mask)) == ("own", "w:1", "/b.nii")
    assert str(second.images["pre"]) == "/b0.nii" and second.facts == {}


PRE = ("A", "pre", "a0.nii")


@pytest.mark.parametrize(
    "rows, words",
    [
        ([], ("no line",)),
        ([PRE, ("A", "post", "a1.nii")], ("unknown phase", "'post'")),
        ([PRE, ("A", "post0", "a1.nii")], ("unknown phase",)),
        ([PRE, ("A", "", "a1.nii")], ("unknown phase", "''")),
        ([PRE, ("A", "post01", "a1.nii")], ("unknown phase",)),
        ([PRE, ("A", "post" + "9" * 5000, "x")], ("unknown phase",)),
        ([PRE, ("A", "pre", "b0.nii")], ("two lines", "a0.nii and b0.nii")),
        ([PRE, PRE], ("two lines",)),
        ([("A", "post1", "a1.nii")], ("phase pre is missing", "case A")),
        ([("A", "pre", "")], ("has no path",)),
        ([PRE, ("A", "post1", "./a0.nii")], ("two images have the same file", "A pre and as A post1")),
        ([PRE, ("a", "pre", "b0.nii")], ("only in upper and lower case", "'A' and 'a'")),
        ([("\u00e9", "pre", "a0.nii"), ("e\u0301", "pre", "b0.nii")], ("encoding of an accent", "case e\u0301")),
        *(
            ([(case, "pre", "a0.nii")], ("no usable case id",))
            for case in ("", ".", "..", "a/b", "/", "a\\b", "a\nb", "../a")
        ),
    ],
)
@pytest.mark.parametrize("name", ["cases.csv", "cases.xlsx"])
def test_an_ambiguous_table_is_refused(tmp_path, name, rows, words, refused):
    save(tmp_path, rows, name)
    refused(lambda: read_listing(tmp_path), str(tmp_path / name), "found", "expected", "what to do", *words)


@pytest.mark.parametrize("column", ["mask", "site", "patient", "manufacturer", "field_strength_t"])
def test_a_contradiction_is_refused(tmp_path, column, refused):
    rows = [(*PRE, "1"), ("A", "post1", "a1.nii", ""), ("A", "post2", "a2.nii", "2")]
    save(tmp_path, rows, header=(*HEADER, column))
    refused(lambda: read_listing(tmp_path), "case A", "cases.csv", f"contradict each other in {column}", "1 and 2")


@pytest.mark.parametrize(
    "column, values, words",
    [
        ("time_s", ("0", ""), "not a non-negative number"),
        ("time_s", ("0", "nan"), "not a non-negative number"),
        ("time_s", ("0", "-1"), "not a non-negative number"),
        ("time_s", ("60", "60"), "do not rise"),
        ("time_s", ("60", "0"), "do not rise"),
        ("field_strength_t", ("", "strong"), "not a non-negative number"),
        ("field_strength_t", ("inf", ""), "not a non-negative number"),
    ],
)
def test_numbers_are_checked(tmp_path, column, values, words, refused):
    save(tmp_path, [(*PRE, values[0]), ("A", "post1", "a1.nii", values[1])], header=(*HEADER, column))
    refused(lambda: read_listing(tmp_path), "case A", "cases.csv", words, "found", "expected", "what to do")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda root: None, "no table of cases"),
        (lambda root: root.mkdir(), "no cases.csv and no cases.xlsx"),
        (lambda root: save(root, [("A", "s", "")], header=("case", "site", "mask")), "no column path, phase"),
        (lambda root: [root.mkdir(), (root / "cases.csv").touch()], "no header"),
        (lambda root: [root.mkdir(), (root / "cases.xlsx").write_text("x")], "the workbook cannot be read"),
        (lambda root: [root.mkdir(), (root / "cases.csv").mkdir()], "no table of cases"),
    ],
)
def test_another_folder_is_neither_recognised_nor_read(tmp_path, make, words, refused):
    make(tmp_path / "data")
    assert not recognises(tmp_path / "data")
    refused(lambda: read_listing(tmp_path / "data"), str(tmp_path / "data"), words)


def test_two_tables_are_refused_unless_one_has_other_columns(tmp_path, refused):
    save(tmp_path, [PRE], "cases.xlsx")
    save(tmp_path, [("P1", "s", "")], header=("case", "site", "mask"))
    assert [source.case for source in read_listing(tmp_path).sources] == ["A"]
    save(tmp_path, [PRE])
    assert recognises(tmp_path)
    refused(lambda: read_listing(tmp_path), str(tmp_path), "two tables of cases exist", "cases.csv and cases.xlsx")
