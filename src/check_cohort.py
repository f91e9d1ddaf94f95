"""Tells what ingest would make of a cohort: which cases it would use, what is wrong and how to mend it, what it costs.

Reads headers only, and takes in one case to measure how long they take. Writes nothing. Exit code 1 where `dvc repro`
would stop.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from pre2post.core.errors import InputError, run_stage
from pre2post.core.progress import progress
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import ingest_case
from pre2post.ingest.layouts import layouts, read_cohort
from pre2post.ingest.params import IngestParams
from pre2post.ingest.preflight import Preflight, preflight_case
from pre2post.ingest.study import shared_patients
from pre2post.pipeline.params import load_params

GB = 1e9
SHOWN = 20  # lines of one kind; --all shows every one


def main() -> None:
    arguments = _arguments()
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    settings = load_params().ingest
    layout, listing = read_cohort(arguments.path, arguments.layout or settings.layout)
    surveys = _survey_all(listing.entries, settings.processes)
    usable = [one for one in surveys if not one.error]
    bad = [one for one in surveys if one.error]
    _print_summary(arguments.path, layout, surveys, usable)
    shown = len(surveys) + len(listing.unlisted) if arguments.all else SHOWN
    _print_lines("left out", [str(one.error) for one in bad], shown)
    _print_lines("to know", [f"case {one.entry.case}: {warning}" for one in usable for warning in one.warnings], shown)
    _print_lines("series that are no phase", _series(usable), shown)
    _print_lines("not cases", [f"{name}: {reason}" for name, reason in listing.unlisted.items()], shown)
    if usable:
        _print_cost(usable, settings.processes, settings)
    _refuse(arguments.path, len(bad), len(usable), settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of the cohort, as ingest.cohort would name it")
    parser.add_argument("--layout", choices=["auto", *layouts()], help="how files lie there; default: ingest.layout")
    parser.add_argument("--all", action="store_true", help=f"every line, not the first {SHOWN} of each kind")
    return parser.parse_args()


def _survey_all(entries: Sequence[CaseSource], workers: int) -> list[Preflight]:
    shared = shared_patients(entries)
    with ProcessPoolExecutor(max(1, min(workers, len(entries)))) as pool:
        surveys = list(progress(pool.map(preflight_case, entries), "check", total=len(entries), unit="case"))
    return [replace(one, error=one.error or shared.get(one.entry.case)) for one in surveys]


def _print_summary(path: Path, layout: str, surveys: Sequence[Preflight], usable: Sequence[Preflight]) -> None:
    print(
        f"{path}: layout {layout}, {len(surveys)} cases, {sum(one.files for one in surveys)} files, "
        f"{sum(one.size for one in surveys) / GB:.1f} GB"
    )
    masked = sum(one.entry.mask is not None for one in usable)
    boxed = sum(one.entry.box is not None for one in usable)
    print(f"usable: {len(usable)}, of these {masked} with a mask and {boxed} with an annotated box")
    for name, values in (
        ("sites", (one.entry.site for one in usable)),
        ("phases", (phase for one in usable for phase in one.phases)),
        ("geometries", (one.geometry.partition(", first")[0] for one in usable)),
    ):
        counts = Counter(values).most_common(SHOWN)
        print(f"{name}: " + ", ".join(f"{value} ({count})" for value, count in counts))


def _series(usable: Sequence[Preflight]) -> list[str]:
    """Each kind once: names differ by their numbers, of which there are thousands."""
    lines = (line for one in usable for line in one.left_out)
    kinds = Counter(f"{line.rpartition(' (')[0]}: {line.rpartition(': ')[2]}" for line in lines)
    return [f"{kind} ({count})" for kind, count in kinds.most_common()]


def _print_lines(title: str, lines: Sequence[str], shown: int) -> None:
    if lines:
        print(f"{title}: {len(lines)}")
        print("\n".join(f"  {line}" for line in lines[:shown]))
    if len(lines) > shown:
        print(f"  ... and {len(lines) - shown} more: see them with --all")


def _print_cost(usable: Sequence[Preflight], workers: int, settings: IngestParams) -> None:
    """Hours and gigabytes, from one typical case taken in for the purpose."""
    typical = sorted(usable, key=lambda one: one.ingested)[len(usable) // 2]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        taken = ingest_case(typical.entry, Path(folder), settings)
        seconds = time.perf_counter() - start
    if taken.error:
        print(f"a case that its headers would let pass: {taken.error}")
        return
    whole = seconds * sum(one.ingested for one in usable) / typical.ingested / workers
    print(
        f"to come: {sum(one.ingested for one in usable) / GB:.1f} GB of volumes, as much again in DVC's cache unless "
        f"links are on; ingest about {whole / 60:.1f} minutes with {workers} workers ({seconds:.1f} s for case "
        f"{typical.entry.case})"
    )


def _refuse(path: Path, bad: int, usable: int, settings: IngestParams) -> None:
    if not usable:
        raise InputError(
            "no case is usable",
            file=path,
            found=f"{bad} cases, all with an error",
            expected="at least one",
            hint="see the lines above",
        )
    if bad and settings.on_error == "raise":
        raise InputError(
            "ingest would stop",
            file=path,
            found=f"{bad} cases that cannot be used",
            expected="none, since ingest.on_error is raise",
            hint="mend them, or go on without them: dvc exp run -S ingest.on_error=skip",
        )


if __name__ == "__main__":
    run_stage(main)
