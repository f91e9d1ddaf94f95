"""Write a phantom cohort: into a folder of its own, resumable after a kill, with the same bytes on every run."""

import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, write_json, write_table
from pre2post.core.progress import progress
from pre2post.phantom.roster import IMAGES, MASKS, WORK, PhantomCase, make_roster

MARKER = "PHANTOM.json"
VERSION = 3  # of the phantom; raise it when the bytes change
SOURCE = "make_phantom.py"  # in PHANTOM.json; constant, since a change would change the bytes of the cohort


def write_cohort(
    output: Path, cases: int = 160, seed: int = 2026, matrix: int = 128, slices: int = 24, workers: int | None = None
) -> bool:
    """Write a cohort into `output`; return False if the same complete cohort exists already.

    A cohort with other parameters is replaced when the new one is complete. The bytes do not depend on `workers`.

    Args:
        output: folder to write; absent, empty or a phantom.
        cases: number of patients, at least 6.
        seed: seed of everything random.
        matrix: pixels per side at site A, at least 16.
        slices: slices per volume at site A, at least 4.
        workers: processes; None: one per CPU core.

    Raises InputError if `output` exists and is not a phantom, or if there are too few cases.
    """
    output = Path(output)
    settings = {"version": VERSION, "cases": cases, "seed": seed, "matrix": matrix, "slices": slices}
    roster = make_roster(cases, seed)
    _check_replaceable(output)
    if _is_complete(output, settings):
        return False
    partial = output.with_name(f".{output.name}.partial")
    _prepare(partial, settings)
    _write_cases(partial, roster, settings, workers or os.cpu_count() or 1)
    shutil.rmtree(partial / WORK, ignore_errors=True)
    write_table(partial / "cases.csv", [_row(case) for case in roster])
    write_json(partial / MARKER, _marker(partial, settings))
    _swap(partial, output)
    return True


def _row(case: PhantomCase) -> dict[str, str]:
    return {"case": case.id, "site": case.site, "mask": f"{MASKS}/{case.id}.nii" if case.masked else ""}


def _check_replaceable(folder: Path) -> None:
    """Raise InputError if `folder` exists and is neither empty nor a phantom."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir())):
        return
    raise InputError(
        "this is not a phantom and is not overwritten",
        file=folder,
        found=f"no {MARKER}",
        expected="a folder written by `pre2post phantom`, or no folder",
        hint="choose another --output",
    )


def _is_complete(folder: Path, settings: dict[str, int]) -> bool:
    return (folder / MARKER).is_file() and read_json(folder / MARKER) == _marker(folder, settings)


def _marker(folder: Path, settings: dict[str, int]) -> dict[str, str | int]:
    """Return the content of the marker; the number of files and bytes reveals a missing or truncated file."""
    files = [Path(path, name) for path, _, names in os.walk(folder) for name in names if name != MARKER]
    size = sum(file.stat().st_size for file in files)
    return {"made_by": SOURCE, **settings, "files": len(files), "bytes": size}


def _prepare(partial: Path, settings: dict[str, int]) -> None:
    """Keep an unfinished cohort with the same parameters; remove one with others."""
    _check_replaceable(partial)
    if (partial / MARKER).is_file() and read_json(partial / MARKER).get("settings") == settings:
        return
    _remove(partial)
    write_json(partial / MARKER, {"unfinished": True, "settings": settings})


def _write_cases(partial: Path, roster: list[PhantomCase], settings: dict[str, int], workers: int) -> None:
    """Write the missing cases and the tables of boxes and truth."""
    from pre2post.phantom.annotation import write_tables  # slow imports, not needed for a complete cohort
    from pre2post.phantom.case import write_case

    missing = [case for case in roster if not (partial / IMAGES / case.id).is_dir()]
    size = {name: settings[name] for name in ("seed", "matrix", "slices")}
    done = len(roster) - len(missing)
    if workers == 1:
        for case in progress(missing, "phantom", total=len(roster), unit="case", start=done):
            write_case(partial, case, **size)
    else:
        context = multiprocessing.get_context("spawn")  # fork is unsafe with threads and not available everywhere
        with ProcessPoolExecutor(min(workers, max(len(missing), 1)), mp_context=context) as pool:
            jobs = [pool.submit(write_case, partial, case, **size) for case in missing]
            try:
                for job in progress(as_completed(jobs), "phantom", total=len(roster), unit="case", start=done):
                    job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    write_tables(partial, roster)


def _swap(partial: Path, output: Path) -> None:
    """Move the finished cohort into place; remove the old one only then."""
    old = output.with_name(f".{output.name}.old")
    _check_replaceable(old)
    _remove(old)
    if output.exists():
        os.replace(output, old)
    os.replace(partial, output)
    _remove(old)


def _remove(folder: Path) -> None:
    """Delete a phantom, its marker last, so that the rest is still recognised if the process is killed."""
    if not folder.exists():
        return
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        elif item.name != MARKER:
            item.unlink()
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()
