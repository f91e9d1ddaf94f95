"""Errors of bad input: one clear message and exit code 1, never a traceback."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_FACT_LENGTH = 1000  # characters: a damaged header may hold a text of any length


class InputError(Exception):
    """Input that cannot be used.

    The message is one line. It names, where they apply, the case, the file, the value found, the value expected and a
    hint how to solve the problem.
    """

    def __init__(
        self,
        problem: str,
        *,
        case: object = None,
        file: object = None,
        found: object = None,
        expected: object = None,
        hint: object = None,
    ):
        self.problem, self.case, self.file = problem, case, file
        # As text: `found` may be another error, and not every error can be pickled by a worker process.
        self.found, self.expected, self.hint = (None if fact is None else str(fact) for fact in (found, expected, hint))
        super().__init__(self._message())

    def _message(self) -> str:
        named = (("case", self.case), ("file", self.file))
        where = ", ".join(f"{name} {_short(value)}" for name, value in named if value is not None)
        facts = (("found", self.found), ("expected", self.expected), ("what to do", self.hint))
        parts = [self.problem] + [f"{name}: {_short(value)}" for name, value in facts if value is not None]
        return one_line((f"{where}: " if where else "") + "; ".join(parts))


def one_line(text: object) -> str:
    """Escape line breaks and terminal control characters, which names of files and headers may hold."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))


def _short(fact: object) -> str:
    text = str(fact)
    return text if len(text) <= MAX_FACT_LENGTH else f"{text[:MAX_FACT_LENGTH]}..."


@contextmanager
def error_context(prefix: str = "", *, case: object = None, file: object = None) -> Iterator[None]:
    """Add the case and file to any InputError raised inside that names none, and put `prefix` before its problem.

    For code that works on arrays and does not know their source.
    """
    try:
        yield
    except InputError as error:
        raise InputError(
            prefix + error.problem,
            case=case if error.case is None else error.case,
            file=file if error.file is None else error.file,
            found=error.found,
            expected=error.expected,
            hint=error.hint,
        ) from None


def run_stage(main: Callable[[], None]) -> None:
    """Run a script's main function.

    Print bad input, a full disk or an unusable file as one line on stderr, and exit with code 1.
    """
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            file = one_line(error.filename or "an output file")
            sys.exit(
                f"error: the disk is full while writing {file}; what to do: free some space and run the command "
                "again, finished stages are kept"
            )
        if error.filename is None:  # no file of the user's: a defect, whose traceback is needed
            raise
        sys.exit(f"error: file {one_line(error.filename)}: this file or folder cannot be used; found: {error.strerror}")
