"""Turns a cohort into NIfTI volumes by role, one intensity scale a patient, and a table of cases."""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from pre2post.cohort.case import write_cases
from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import COHORT, VOLUMES
from pre2post.core.progress import progress
from pre2post.core.resume import resume_root
from pre2post.ingest.case_source import Entry
from pre2post.ingest.ingest_cache import ProgressBook
from pre2post.ingest.ingest_case import COLUMNS, SETTINGS, Taken, left_out, take_in
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.study import shared_patients
from pre2post.io.volume_file import use_one_thread
from pre2post.pipeline.params import Ingest, load_params

SRC = Path(__file__).parent
CODE = [Path(__file__), *(file for package in ("cohort", "dicom", "image", "ingest", "io")
                          for file in (SRC / "pre2post" / package).rglob("*.*")
                          if file.suffix in (".py", ".csv"))]


def main() -> None:
    settings = load_params().ingest
    root = Path(settings.cohort)
    layout, listing = read_cohort(root, settings.layout)
    print(f"{root}: {len(listing.entries)} cases in the layout {layout}")
    book = ProgressBook(resume_root() / "ingest", VOLUMES, settings.model_dump(include=SETTINGS), CODE)
    with book.alone():
        taken = sorted(_take_all(listing.entries, book, settings), key=lambda one: str(one.row["case"]))
        used = [one.case for one in taken if one.case]
        if not used:
            raise InputError("no case is usable", file=root, found=str(taken[0].error), expected="at least one")
        book.move(case.id for case in used)
        write_cases(VOLUMES, used)
        write_table(COHORT, [one.row for one in taken] + _unlisted_rows(listing.unlisted))


def _take_all(entries: list[Entry], book: ProgressBook, settings: Ingest) -> Iterator[Taken]:
    """Takes in every case that is not done yet, in parallel, and yields all results; a bad one stops it or is told."""
    shared = shared_patients(entries)
    results = {entry.case: left_out(entry, shared[entry.case]) if entry.case in shared else book.done(entry)
               for entry in entries}
    waiting = [entry for entry in entries if not results[entry.case]]
    pool = ProcessPoolExecutor(max(1, min(settings.processes, len(waiting))), initializer=use_one_thread)
    try:
        jobs = {}
        for entry in waiting:
            book.forget(entry)
            jobs[pool.submit(take_in, entry, book.work, settings)] = entry
        bar = progress(None, "ingest", total=len(entries), unit="case", start=len(entries) - len(waiting))
        with bar:
            for entry in entries:
                if results[entry.case]:
                    yield _checked(results[entry.case], settings, bar)
            for job in as_completed(jobs):
                result, entry = job.result(), jobs[job]
                bar.update()
                book.write(entry) if result.case else book.forget(entry)
                yield _checked(result, settings, bar)
    finally:
        pool.shutdown(cancel_futures=True)


def _checked(result: Taken, settings: Ingest, bar) -> Taken:
    if result.error and settings.bad_cases == "stop":
        raise result.error
    if result.error:
        bar.write(f"left out: {result.error}", file=sys.stderr)
    return result


def _unlisted_rows(unlisted: Mapping[str, str]) -> list[dict[str, object]]:
    return [dict.fromkeys(COLUMNS, "") | {"case": name, "status": "not listed", "reason": reason}
            for name, reason in unlisted.items()]


if __name__ == "__main__":
    run_stage(main)
