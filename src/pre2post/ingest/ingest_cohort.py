"""Ingest all cases of a cohort, several at a time, and reuse those that did not change."""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed

from pre2post.core.progress import progress
from pre2post.ingest.case_source import Entry
from pre2post.ingest.ingest_cache import ProgressBook
from pre2post.ingest.ingest_case import COLUMNS, Taken, left_out, take_in
from pre2post.ingest.params import IngestParams
from pre2post.ingest.study import shared_patients
from pre2post.io.volume_file import use_one_thread


def take_all(entries: list[Entry], book: ProgressBook, settings: IngestParams) -> Iterator[Taken]:
    """Takes in every case that is not done yet, in parallel, and yields all results; a bad one stops it or is told."""
    shared = shared_patients(entries)
    results = {
        entry.case: left_out(entry, shared[entry.case]) if entry.case in shared else book.done(entry)
        for entry in entries
    }
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


def _checked(result: Taken, settings: IngestParams, bar) -> Taken:
    if result.error and settings.bad_cases == "stop":
        raise result.error
    if result.error:
        bar.write(f"left out: {result.error}", file=sys.stderr)
    return result


def unlisted_rows(unlisted: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        dict.fromkeys(COLUMNS, "") | {"case": name, "status": "not listed", "reason": reason}
        for name, reason in unlisted.items()
    ]
