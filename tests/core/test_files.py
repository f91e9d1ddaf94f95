"""Files appear whole or not at all; errors are one line; the resume folder is keyed by content."""

import errno
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.core.errors import InputError, error_context, run_stage
from pre2post.core.files import atomic_path, read_json, read_table, write_json, write_table
from pre2post.core.resume import resume_folder


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_its_folder(tmp_path):
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
def test_tables_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_table(path, rows)
    assert [{"case": row["case"], "dice": float(row["dice"])} for row in read_table(path)] == rows


def test_nan_never_reaches_a_metrics_file(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "m.json", {"dice": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_json_are_named(tmp_path):
    with pytest.raises(InputError, match=r"m\.json.*missing"):
        read_json(tmp_path / "m.json")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(InputError, match=r"m\.json.*not JSON"):
        read_json(tmp_path / "m.json")


def test_an_error_says_where_what_and_what_to_do():
    error = InputError("it does not fit", case="c1", file="m.nii", found="2 x 2", expected="3 x 3", hint="redo it")
    assert str(error) == "case c1, file m.nii: it does not fit; found: 2 x 2; expected: 3 x 3; what to do: redo it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # workers send it to their parent


def raise_about(error, *arguments, **places):
    with error_context(*arguments, **places):
        raise error


def test_about_says_which_case_and_file_an_error_is_about(refused):
    error = InputError("it does not fit", found="2 x 2", expected="3 x 3", hint="redo it")
    message = refused(lambda: raise_about(error, "slice 4: ", case="c1", file="m.nii"))
    assert message == (
        "case c1, file m.nii: slice 4: it does not fit; found: 2 x 2; expected: 3 x 3; what to do: redo it"
    )


def test_about_does_not_overwrite_what_an_error_knows_itself(refused):
    error = InputError("it does not fit", case="image 3", file="own.nii")
    assert refused(lambda: raise_about(error, case="c1", file="m.nii")) == "case image 3, file own.nii: it does not fit"
    assert refused(lambda: raise_about(InputError("no", case=0), case="c1")) == "case 0: no"


def test_about_may_be_told_from_inside_out(refused):
    def inner():
        raise_about(InputError("it does not fit"), "slice 4: ", file="m.nii")

    def outer():
        with error_context("checkpoint 8: ", case="c1", file="other.nii"):
            inner()

    assert refused(outer) == "case c1, file m.nii: checkpoint 8: slice 4: it does not fit"


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("b"), OSError(errno.ENOSPC, "full")])
def test_about_lets_other_errors_and_results_pass(error):
    with pytest.raises(type(error)) as caught:
        raise_about(error, "slice 4: ", case="c1")
    assert caught.value is error
    with error_context(case="c1"):
        found = 1
    assert found == 1


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (InputError("nothing there"), "error: nothing there"),
        (OSError(errno.ENOSPC, "No space left on device", "big.npy"), "error: the disk is full while writing big.npy"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x.nii"),
            "error: file x.nii: this file or folder cannot be used; found: Permission denied",
        ),
    ],
)
def test_a_stage_ends_in_one_line_and_exit_code_one(raised, message):
    def main():
        raise raised

    with pytest.raises(SystemExit) as exit_info:
        run_stage(main)
    assert str(exit_info.value.code).startswith(message)  # a text as exit code is printed, and the code is 1
    assert "\n" not in str(exit_info.value.code)


@pytest.mark.parametrize("failure", [ZeroDivisionError(), OSError("no file is to blame")])
def test_other_failures_are_not_hidden(failure):
    def main():
        raise failure

    with pytest.raises(type(failure)):
        run_stage(main)


def test_the_resume_folder_follows_settings_and_content(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    data = tmp_path / "data.npy"
    data.write_bytes(b"1")
    first = resume_folder("stage", {"lr": 1}, [data])
    assert first == resume_folder("stage", {"lr": 1}, [data])
    assert first.parent == tmp_path / ".resume" / "stage"
    assert resume_folder("stage", {"lr": 2}, [data]) != first
    data.write_bytes(b"2")
    assert resume_folder("stage", {"lr": 1}, [data]) != first


def test_a_table_from_a_spreadsheet_program_reads_like_any_other(tmp_path, refused):
    (tmp_path / "marked.csv").write_bytes("case,site\nP1,Málaga\n".encode("utf-8-sig"))
    assert read_table(tmp_path / "marked.csv") == [{"case": "P1", "site": "Málaga"}]
    (tmp_path / "latin.csv").write_bytes("case,site\nP1,Málaga\n".encode("latin-1"))
    refused(lambda: read_table(tmp_path / "latin.csv"), "not text in UTF-8", "latin.csv", "save it as CSV in UTF-8")
