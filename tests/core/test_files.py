"""Files are complete or absent, numbers in tracked files have six digits, and bad files are named."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.core.errors import InputError
from pre2post.core.files import (
    atomic_path,
    read_json,
    read_table,
    read_yaml,
    round_floats,
    rounded,
    write_json,
    write_table,
    write_tracked_table,
)


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_creates_its_folder(tmp_path):
    write_json(tmp_path / "a" / "b" / "c.json", {"x": 1})
    assert read_json(tmp_path / "a" / "b" / "c.json") == {"x": 1}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "case": st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")),
                "dice": st.floats(allow_nan=False),
            }
        ),
        min_size=1,
    )
)
def test_tables_are_read_as_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_table(path, rows)
    assert [{"case": row["case"], "dice": float(row["dice"])} for row in read_table(path)] == rows


def test_nan_is_not_written_as_json(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "m.json", {"dice": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_json_are_named(tmp_path):
    with pytest.raises(InputError, match=r"m\.json.*missing"):
        read_json(tmp_path / "m.json")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(InputError, match=r"m\.json.*not JSON"):
        read_json(tmp_path / "m.json")


def test_a_byte_order_mark_is_dropped_and_other_encodings_are_refused(tmp_path, refused):
    (tmp_path / "marked.csv").write_bytes("case,site\nP1,Málaga\n".encode("utf-8-sig"))
    assert read_table(tmp_path / "marked.csv") == [{"case": "P1", "site": "Málaga"}]
    (tmp_path / "latin.csv").write_bytes("case,site\nP1,Málaga\n".encode("latin-1"))
    refused(lambda: read_table(tmp_path / "latin.csv"), "not text in UTF-8", "latin.csv", "save it as CSV in UTF-8")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounded_keeps_six_digits(value):
    assert rounded(value) == pytest.approx(value, rel=5.0000001e-6, abs=0)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1 / 3, 0.333333),
        (-1234567.8, -1234570.0),
        (0, 0),
        (7, 7),
        (1.23456789e-12, 1.23457e-12),
        (np.float32(0.1), 0.1),
        (np.int64(12), 12.0),
    ],
)
def test_rounded_examples(value, wanted):
    assert rounded(value) == wanted
    assert type(rounded(value)) is float


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_rounded_is_none_for_what_json_cannot_express(value):
    assert rounded(value) is None


@given(st.none() | st.floats())
def test_rounded_is_idempotent_and_valid_json(value):
    found = rounded(value)
    assert rounded(found) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


NUMBERS = (
    st.floats()
    | st.floats(width=32).map(np.float32)
    | st.floats().map(np.float64)
    | st.integers()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1).map(np.int32)
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))


@given(st.lists(st.fixed_dictionaries({"value": NUMBERS, "text": TEXTS, "none": st.none()}), min_size=1))
def test_tracked_tables_hold_six_digits(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tracked")
    write_tracked_table(folder / "t.csv", rows)
    found = read_table(folder / "t.csv")
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert {row["none"] for row in found} == {""}
    for row, cell in zip(rows, [row["value"] for row in found], strict=True):
        value = row["value"]
        if not isinstance(value, float | np.floating):
            assert cell == str(value)  # integers and booleans as they are
        elif math.isfinite(value):
            assert float(cell) == float(f"{value:.6g}") == pytest.approx(value, rel=5.0000001e-6, abs=0)
        else:
            assert math.isnan(float(cell)) if math.isnan(value) else float(cell) == value


@given(st.lists(st.fixed_dictionaries({"a": st.floats(), "b": st.integers()}), min_size=1))
def test_a_tracked_table_is_the_same_when_it_is_written_again(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tracked")
    write_tracked_table(folder / "first.csv", rows)
    again = [
        {name: {"a": float, "b": int}[name](cell) for name, cell in row.items()}
        for row in read_table(folder / "first.csv")
    ]
    write_tracked_table(folder / "second.csv", again)
    assert (folder / "second.csv").read_bytes() == (folder / "first.csv").read_bytes()


@given(st.floats(min_value=1e-300, max_value=1e300), st.floats(-1e-9, 1e-9))
def test_another_rounding_of_the_last_digits_writes_the_same_number(value, difference):
    """Unless the value is within the difference of the middle between two numbers of six digits."""
    middle = math.fmod(float(f"{value:.12e}".partition("e")[0]) * 1e5, 1)
    if abs(middle - 0.5) > 1e-3:
        assert rounded(value * (1 + difference)) == rounded(value)


def test_text_in_a_tracked_table_is_not_rounded(tmp_path):
    write_tracked_table(tmp_path / "t.csv", [{"text": "0.123456789", "number": 0.123456789}])
    assert (tmp_path / "t.csv").read_text() == "text,number\n0.123456789,0.123457\n"


def test_an_empty_table_is_an_empty_line(tmp_path):
    write_tracked_table(tmp_path / "t.csv", [])
    assert read_table(tmp_path / "t.csv") == []


CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(CONTENT)
def test_nested_floats_are_rounded_and_valid_json(content):
    found = round_floats(content)
    assert round_floats(found) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert flat(found) == [rounded(value) if isinstance(value, float) else value for value in flat(content)]


def flat(content) -> list:
    if isinstance(content, dict):
        return [leaf for value in content.values() for leaf in flat(value)]
    return [leaf for value in content for leaf in flat(value)] if isinstance(content, list | tuple) else [content]


@pytest.mark.parametrize("text", ["a: [", "a: \t- b", "!!python/object:os.system {}", "\xff\xfe"])
def test_what_is_not_yaml_is_refused(tmp_path, refused, text):
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    refused(lambda: read_yaml(tmp_path / "x.yaml"), str(tmp_path / "x.yaml"), "not YAML", "found")


def test_yaml_is_read_and_a_missing_file_is_named(tmp_path, refused):
    (tmp_path / "x.yaml").write_text("a: {b: [1, 2.5, ü]}", encoding="utf-8")
    assert read_yaml(tmp_path / "x.yaml") == {"a": {"b": [1, 2.5, "ü"]}}
    refused(lambda: read_yaml(tmp_path / "y.yaml"), "y.yaml", "missing")
