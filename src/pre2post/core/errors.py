"""Bad input ends in one clear message and exit code 1, never in a traceback."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST = 1000  # characters of one fact: a damaged header may hold a text of any length


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line and names, as far as they apply, the case, the file, what was found, what was expected and
    what to do.
    """

    def __init__(self, problem: str, *, case=None, file=None, found=None, expected=None, hint=None):
        self.problem, self.case, self.file = problem, case, file
        # As text: what was found may be another error, and not every error survives the way out of a worker process.
        self.found, self.expected, self.hint = (None if fact is None else str(fact) for fact in (found, expected, hint))
        super().__init__(self._message())

    def _message(self) -> str:
        named = (("case", self.case), ("file", self.file))
        where = ", ".join(f"{name} {_short(value)}" for name, value in named if value is not None)
        facts = (("found", self.found), ("expected", self.expected), ("what to do", self.hint))
        parts = [self.problem] + [f"{name}: {_short(value)}" for name, value in facts if value is not None]
        return one_line((f"{where}: " if where else "") + "; ".join(parts))


def one_line(text: str) -> str:
    """What it says in one line: names of files and headers may hold line breaks, and what steers a terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))


def _short(fact) -> str:
    text = str(fact)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


@contextmanager
def error_context(prefix: str = "", *, case=None, file=None) -> Iterator[None]:
    """Says of an InputError raised inside which case and file it is error_context, where it does not say so itself.

    For rooms that work on arrays, which do not know where these came from. `prefix` goes before the problem.
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
    """Runs a script's main function; bad input, a full disk or a file that cannot be used become one line on stderr
    and exit code 1."""
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
        if error.filename is None:  # not error_context a file, so not something that was given
            raise
        sys.exit(f"error: file {one_line(error.filename)}: this file or folder cannot be used; found: {error.strerror}")
