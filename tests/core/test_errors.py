"""Errors of bad input are one line with place, facts and hint; a stage exits with code 1."""

import errno
import pickle

import pytest

from pre2post.core.errors import MAX_FACT_LENGTH, InputError, error_context, one_line, run_stage


def test_the_message_names_place_facts_and_hint():
    error = InputError("it does not fit", case="c1", file="m.nii", found="2 x 2", expected="3 x 3", hint="redo it")
    assert str(error) == "case c1, file m.nii: it does not fit; found: 2 x 2; expected: 3 x 3; what to do: redo it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # worker processes send it to their parent


def raise_in_context(error, *arguments, **places):
    with error_context(*arguments, **places):
        raise error


def test_error_context_adds_case_file_and_prefix(refused):
    error = InputError("it does not fit", found="2 x 2", expected="3 x 3", hint="redo it")
    message = refused(lambda: raise_in_context(error, "slice 4: ", case="c1", file="m.nii"))
    assert message == (
        "case c1, file m.nii: slice 4: it does not fit; found: 2 x 2; expected: 3 x 3; what to do: redo it"
    )


def test_error_context_keeps_the_case_and_file_of_the_error(refused):
    error = InputError("it does not fit", case="image 3", file="own.nii")
    assert (
        refused(lambda: raise_in_context(error, case="c1", file="m.nii"))
        == "case image 3, file own.nii: it does not fit"
    )
    assert refused(lambda: raise_in_context(InputError("no", case=0), case="c1")) == "case 0: no"


def test_error_contexts_nest(refused):
    def inner():
        raise_in_context(InputError("it does not fit"), "slice 4: ", file="m.nii")

    def outer():
        with error_context("checkpoint 8: ", case="c1", file="other.nii"):
            inner()

    assert refused(outer) == "case c1, file m.nii: checkpoint 8: slice 4: it does not fit"


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("b"), OSError(errno.ENOSPC, "full")])
def test_error_context_passes_other_errors_and_results(error):
    with pytest.raises(type(error)) as caught:
        raise_in_context(error, "slice 4: ", case="c1")
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
def test_run_stage_prints_one_line_and_exits_with_code_one(raised, message):
    def main():
        raise raised

    with pytest.raises(SystemExit) as exit_info:
        run_stage(main)
    assert str(exit_info.value.code).startswith(message)  # Python prints a text given as exit code, and exits with 1
    assert "\n" not in str(exit_info.value.code)


@pytest.mark.parametrize("failure", [ZeroDivisionError(), OSError("an error without a file")])
def test_run_stage_does_not_hide_other_failures(failure):
    def main():
        raise failure

    with pytest.raises(type(failure)):
        run_stage(main)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("two\nlines", "two\\nlines"), ("\x1b[31mred", "\\x1b[31mred"), ("a\u202eb", "a\\u202eb"), ("Málaga", "Málaga")],
)
def test_one_line_escapes_line_breaks_and_control_characters(text, shown):
    assert one_line(text) == shown
    assert str(InputError("wrong", file=text)) == f"file {shown}: wrong"


def test_long_facts_are_cut():
    message = str(InputError("wrong", found="x" * (MAX_FACT_LENGTH + 1)))
    assert message == f"wrong; found: {'x' * MAX_FACT_LENGTH}..."
