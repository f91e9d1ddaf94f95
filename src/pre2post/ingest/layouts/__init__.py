"""How cohorts lie on disk: one file a layout, found by being here.

A layout is a module with
    NAME        what params.yaml calls it
    EXPECTED    the files it needs, in a line, for messages
    recognises(root) -> bool          whether the folder looks like one; cheap, raises nothing
    read_listing(root) -> Listing     its cases; raises InputError when its tables cannot be used
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from pre2post.core.errors import InputError
from pre2post.ingest.case_source import Listing

SHOWN = 5  # names of a wrong folder's content in a message
PHANTOM = "run `python src/make_phantom.py`, or point ingest.cohort at your own"


def layouts() -> dict[str, ModuleType]:
    """The layouts by name."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {module.NAME: module for module in modules}


def read_cohort(root: Path, layout: str = "auto") -> tuple[str, Listing]:
    """The name of the layout of a cohort, and its cases.

    `layout` names one, or is "auto": the one that recognises the folder. Raises InputError when there is no cohort in
    that layout.
    """
    known = layouts()
    _check_folder(root, known)
    if layout != "auto":
        if layout not in known:
            raise InputError(
                "there is no such layout",
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
    if not listing.entries:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(listing.unlisted.items())[:SHOWN])
        raise InputError(
            "the cohort has no case",
            file=root,
            found=reasons or "no patient",
            expected=known[found[0]].EXPECTED,
            hint="look at the folder's tables and images",
        )
    return found[0], listing


def _check_folder(root: Path, known: dict[str, ModuleType]) -> None:
    expected = _expected(known)
    if not root.is_dir():
        raise InputError(
            "there is no cohort",
            file=root,
            found="a file" if root.exists() else "nothing",
            expected=expected,
            hint=PHANTOM,
        )
    if not any(not path.name.startswith(".") for path in root.iterdir()):
        raise InputError("the data folder is empty", file=root, found="no file", expected=expected, hint=PHANTOM)


def _unclear(root: Path, found: list[str], known: dict[str, ModuleType]) -> InputError:
    if found:
        return InputError(
            "the folder looks like several layouts",
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
            found="a table without the columns of a layout, or one that cannot be read",
            expected=_expected(known),
            hint="correct the table, or set ingest.layout, which tells more",
        )
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return InputError(
        "the folder is not a cohort in a known layout",
        file=root,
        found=shown,
        expected=_expected(known),
        hint="point ingest.cohort at the folder of a cohort",
    )


def _expected(known: dict[str, ModuleType]) -> str:
    return "; or ".join(f"{name}: {module.EXPECTED}" for name, module in known.items())
