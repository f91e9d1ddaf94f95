"""Layouts of cohorts on disk: one module per layout; modules in this folder are found automatically.

A layout is a module with
    NAME        its name in params.yaml
    EXPECTED    the required files, in one line for messages
    recognises(root) -> bool          whether the folder has this layout; fast, raises nothing
    read_listing(root) -> Listing     its cases; raises InputError if its tables cannot be used
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from pre2post.core.errors import InputError
from pre2post.ingest.case_source import Listing

MAX_SHOWN = 5  # names in a message about a wrong folder
NO_COHORT_HINT = "run `pre2post phantom`, or set ingest.cohort to the folder of your cohort"


def layouts() -> dict[str, ModuleType]:
    """Return the layouts by name."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {module.NAME: module for module in modules}


def read_cohort(root: Path, layout: str = "auto") -> tuple[str, Listing]:
    """Return the name of the layout of a cohort, and its cases.

    `layout` is a name, or "auto" for the layout that recognises the folder. Raises InputError if the folder is not a
    cohort in that layout.
    """
    known = layouts()
    _check_folder(root, known)
    if layout != "auto":
        if layout not in known:
            raise InputError(
                "unknown layout",
                found=layout,
                expected=", ".join(["auto", *known]),
                hint="correct ingest.layout",
            )
        found = [layout]
    else:
        found = [name for name, module in known.items() if module.recognises(root)]
    if len(found) != 1:
        raise _unclear(root, found, known)
    listing = known[found[0]].read_listing(root)
    if not listing.sources:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(listing.unlisted.items())[:MAX_SHOWN])
        raise InputError(
            "the cohort has no case",
            file=root,
            found=reasons or "no patient",
            expected=known[found[0]].EXPECTED,
            hint="check the tables and images in the folder",
        )
    return found[0], listing


def _check_folder(root: Path, known: dict[str, ModuleType]) -> None:
    expected = _expected(known)
    if not root.is_dir():
        raise InputError(
            "the folder of the cohort does not exist",
            file=root,
            found="a file" if root.exists() else "nothing",
            expected=expected,
            hint=NO_COHORT_HINT,
        )
    if not any(not path.name.startswith(".") for path in root.iterdir()):
        raise InputError("the data folder is empty", file=root, found="no file", expected=expected, hint=NO_COHORT_HINT)


def _unclear(root: Path, found: list[str], known: dict[str, ModuleType]) -> InputError:
    if found:
        return InputError(
            "the folder matches several layouts",
            file=root,
            found=", ".join(found),
            expected="one",
            hint="set ingest.layout",
        )
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    tables = [name for name in names if name.startswith("cases.")]
    if tables:
        return InputError(
            "the folder is not a cohort in a known layout",
            file=root / tables[0],
            found="a table without the columns of a layout, or an unreadable table",
            expected=_expected(known),
            hint="correct the table, or set ingest.layout for a more detailed message",
        )
    shown = ", ".join(names[:MAX_SHOWN]) + (", ..." if len(names) > MAX_SHOWN else "")
    return InputError(
        "the folder is not a cohort in a known layout",
        file=root,
        found=shown,
        expected=_expected(known),
        hint="set ingest.cohort to the folder of a cohort",
    )


def _expected(known: dict[str, ModuleType]) -> str:
    return "; or ".join(f"{name}: {module.EXPECTED}" for name, module in known.items())
