"""Ingest all cases of a cohort, several at a time, and reuse those that did not change."""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed

from pre2post.core.progress import progress
from pre2post.image.itk import use_one_thread
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_cache import IngestCache
from pre2post.ingest.ingest_case import COLUMNS, IngestResult, ingest_case, left_out
from pre2post.ingest.params import IngestParams
from pre2post.ingest.study import shared_patients


def take_all(entries: list[CaseSource], book: IngestCache, settings: IngestParams) -> Iterator[IngestResult]:
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
            jobs[pool.submit(ingest_case, entry, book.work, settings)] = entry
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


def _checked(result: IngestResult, settings: IngestParams, bar) -> IngestResult:
    if result.error and settings.on_error == "raise":
        raise result.error
    if result.error:
        bar.write(f"left out: {result.error}", file=sys.stderr)
    return result


def unlisted_rows(unlisted: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        dict.fromkeys(COLUMNS, "") | {"case": name, "status": "not listed", "reason": reason}
        for name, reason in unlisted.items()
    ]
