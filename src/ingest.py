"""Turns the DICOM cohort into float32 NIfTI volumes by role, one intensity scale a patient, and a table of cases."""

import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cohort.case import write_cases
from cohort.duke import Entry, read_cohort, shared_patients, unlisted
from cohort.intake import COLUMNS, Taken, left_out, take_in
from imaging.volume import use_one_thread
from pipeline.errors import InputError, run_stage
from pipeline.files import write_table
from pipeline.params import Ingest, load_params
from pipeline.paths import PLOTS, VOLUMES
from pipeline.progress import progress


def main() -> None:
    settings = load_params().ingest
    root = Path(settings.cohort)
    entries = read_cohort(root)
    fresh = VOLUMES.with_name(f".{VOLUMES.name}.new")  # swapped in at the end: a failed run leaves the old ones whole
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        taken = list(_take_all(entries, fresh, settings))
        if not any(one.case for one in taken):
            raise InputError("no case is usable", file=root, found=str(taken[0].error), expected="at least one")
        write_cases(fresh, [one.case for one in taken if one.case])
        write_table(PLOTS / "cohort.csv", [one.row for one in taken] + _unlisted_rows(root, entries))
        _swap(fresh, VOLUMES)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, place: Path) -> None:
    """Puts a finished folder in place; what was there stays beside it until then."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _take_all(entries: list[Entry], folder: Path, settings: Ingest) -> Iterator[Taken]:
    """Takes in every case, in parallel, and yields the results in order; a bad one stops it or is told about."""
    shared = shared_patients(entries)
    pool = ProcessPoolExecutor(os.cpu_count(), initializer=use_one_thread)
    try:
        jobs = [(entry, None if entry.case in shared else pool.submit(take_in, entry, folder, settings))
                for entry in entries]
        with progress(jobs, "ingest", unit="case") as bar:
            for entry, job in bar:
                result = job.result() if job else left_out(entry, shared[entry.case])
                if result.error and settings.bad_cases == "stop":
                    raise result.error
                if result.error:
                    shutil.rmtree(folder / entry.case, ignore_errors=True)
                    bar.write(f"left out: {result.error}", file=sys.stderr)
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _unlisted_rows(root: Path, entries: list[Entry]) -> list[dict[str, object]]:
    reason = "a folder that the table of cases does not list"
    return [dict.fromkeys(COLUMNS, "") | {"case": name, "status": "not listed", "reason": reason}
            for name in unlisted(root, entries)]


if __name__ == "__main__":
    run_stage(main)
