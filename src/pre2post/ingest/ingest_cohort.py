"""Ingest all cases of a cohort in parallel, and reuse those that did not change."""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed

from tqdm import tqdm

from pre2post.core.progress import progress
from pre2post.image.itk import use_one_thread
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_cache import IngestCache
from pre2post.ingest.ingest_case import COLUMNS, IngestResult, Row, ingest_case, skipped_result
from pre2post.ingest.params import IngestParams
from pre2post.ingest.study import shared_patients


def ingest_cohort(sources: list[CaseSource], cache: IngestCache, settings: IngestParams) -> Iterator[IngestResult]:
    """Ingest the cases that are not in `cache`, in parallel; yield the results of all cases, in any order.

    Raises InputError for the first case that cannot be used, unless `on_error` is "skip": then print it to stderr.
    """
    shared = shared_patients(sources)
    known, missing = [], []
    for source in sources:
        error = shared.get(source.case)
        result = skipped_result(source, error) if error else cache.find(source)
        if result:
            known.append(result)
        else:
            missing.append(source)
    pool = ProcessPoolExecutor(max(1, min(settings.processes, len(missing))), initializer=use_one_thread)
    try:
        jobs = {}
        for source in missing:
            cache.discard(source)
            jobs[pool.submit(ingest_case, source, cache.work, settings)] = source
        with progress(None, "ingest", total=len(sources), unit="case", start=len(known)) as bar:
            for result in known:
                yield _checked(result, settings, bar)
            for job in as_completed(jobs):
                result, source = job.result(), jobs[job]
                bar.update()
                if result.case:
                    cache.add(source)
                else:
                    cache.discard(source)
                yield _checked(result, settings, bar)
    finally:
        pool.shutdown(cancel_futures=True)


def _checked(result: IngestResult, settings: IngestParams, bar: tqdm) -> IngestResult:
    if result.error and settings.on_error == "raise":
        raise result.error
    if result.error:
        bar.write(f"skipped: {result.error}", file=sys.stderr)
    return result


def unlisted_rows(unlisted: Mapping[str, str]) -> list[Row]:
    """Return the lines of the cohort table for everything that is not a case, from names and reasons."""
    return [
        dict.fromkeys(COLUMNS, "") | {"case": name, "status": "not listed", "reason": reason}
        for name, reason in unlisted.items()
    ]
