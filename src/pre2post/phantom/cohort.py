"""Writes the whole cohort: only ever into its own folder, in pieces that survive a kill, the same bytes each time."""

import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, write_json, write_table
from pre2post.core.progress import progress
from pre2post.phantom.roster import IMAGES, MASKS, WORK, CaseSource, make_roster

MARKER = "PHANTOM.json"
VERSION = 2  # of the phantom: raise it when the bytes change


def write_cohort(
    output: Path, cases: int = 58, seed: int = 2026, matrix: int = 128, slices: int = 24, workers: int | None = None
) -> bool:
    """Writes the cohort into `output`; False if it was there already, whole and with these settings.

    A folder with other settings is replaced once the new cohort is complete. The bytes do not depend on `workers`.
    Raises InputError when `output` exists and is not a phantom.
    """
    output = Path(output)
    settings = {"version": VERSION, "cases": cases, "seed": seed, "matrix": matrix, "slices": slices}
    roster = make_roster(cases, seed)
    _refuse_foreign(output)
    if _complete(output, settings):
        return False
    partial = output.with_name(f".{output.name}.partial")
    _prepare(partial, settings)
    _write_cases(partial, roster, settings, workers or os.cpu_count() or 1)
    _write_boxes(partial, roster)
    shutil.rmtree(partial / WORK, ignore_errors=True)
    write_table(partial / "cases.csv", [_row(entry) for entry in roster])
    write_json(partial / MARKER, {"made_by": "make_phantom.py", **settings, **_content(partial)})
    _swap(partial, output)
    return True


def _row(entry: CaseSource) -> dict[str, str]:
    return {"case": entry.id, "site": entry.site, "mask": f"{MASKS}/{entry.id}.nii" if entry.masked else ""}


def _refuse_foreign(folder: Path) -> None:
    """Stops at anything that is there and carries no marker of ours, unless it is an empty folder."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir())):
        return
    raise InputError(
        "this is not a phantom, so it stays untouched",
        file=folder,
        found=f"no {MARKER} in it",
        expected="a folder that make_phantom.py made, or none",
        hint="name another --output",
    )


def _complete(folder: Path, settings: dict) -> bool:
    if not (folder / MARKER).is_file():
        return False
    return read_json(folder / MARKER) == {"made_by": "make_phantom.py", **settings, **_content(folder)}


def _content(folder: Path) -> dict[str, int]:
    """Number of files and of bytes, without the marker: enough to notice that something is missing or cut short."""
    files = [Path(path, name) for path, _, names in os.walk(folder) for name in names if name != MARKER]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}


def _prepare(partial: Path, settings: dict) -> None:
    """An unfinished cohort of the same settings is carried on with; any other one of ours makes room."""
    _refuse_foreign(partial)
    if (partial / MARKER).is_file() and read_json(partial / MARKER).get("settings") == settings:
        return
    _remove(partial)
    write_json(partial / MARKER, {"unfinished": True, "settings": settings})


def _write_cases(partial: Path, roster: list[CaseSource], settings: dict, workers: int) -> None:
    from pre2post.phantom.case import write_case  # slow to import, and not needed when the cohort is there

    missing = [entry for entry in roster if not (partial / IMAGES / entry.id).is_dir()]
    size = {name: settings[name] for name in ("seed", "matrix", "slices")}
    done = len(roster) - len(missing)
    if workers == 1:
        for entry in progress(missing, "phantom", total=len(roster), unit="case", start=done):
            write_case(partial, entry, **size)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe beside threads, and not everywhere
    with ProcessPoolExecutor(min(workers, max(len(missing), 1)), mp_context=context) as pool:
        jobs = [pool.submit(write_case, partial, entry, **size) for entry in missing]
        try:
            for job in progress(as_completed(jobs), "phantom", total=len(roster), unit="case", start=done):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_boxes(partial: Path, roster: list[CaseSource]) -> None:
    from pre2post.phantom.annotation import write_boxes  # slow to import too

    write_boxes(partial, roster)


def _swap(partial: Path, output: Path) -> None:
    """Puts the finished cohort in place; an older one stays beside it until the new one is there."""
    old = output.with_name(f".{output.name}.old")
    _refuse_foreign(old)
    _remove(old)
    if output.exists():
        os.replace(output, old)
    os.replace(partial, output)
    _remove(old)


def _remove(folder: Path) -> None:
    """Deletes a phantom, its marker last: killed on the way, the rest is still known as ours."""
    if not folder.exists():
        return
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        elif item.name != MARKER:
            item.unlink()
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()
