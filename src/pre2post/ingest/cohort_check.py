"""Check a cohort before ingestion: the usable cases, every fault with a hint, and the expected cost.

Only headers are read, except for one typical case, which is ingested into a temporary folder to measure the time.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.progress import progress
from pre2post.core.section import StageParams
from pre2post.ingest.case_source import CaseSource, Listing
from pre2post.ingest.ingest_case import ingest_case
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.params import IngestParams
from pre2post.ingest.preflight import Preflight, preflight_case
from pre2post.ingest.study import shared_patients

GB = 1e9
MAX_SHOWN = 20  # values of one kind in the summary


class Params(StageParams):
    """The parameters that this check reads."""

    ingest: IngestParams


@dataclass(frozen=True)
class CohortCheck:
    """The expected result of ingesting the cohort in folder `path`, case by case."""

    path: Path
    layout: str
    listing: Listing
    cases: list[Preflight]

    @property
    def usable(self) -> list[Preflight]:
        return [case for case in self.cases if not case.error]

    @property
    def bad(self) -> list[Preflight]:
        return [case for case in self.cases if case.error]

    def report(self, params: IngestParams, max_lines: int | None = None) -> Iterator[str]:
        """Yield the lines of the report; of each list only the first `max_lines`, None for all."""
        yield from self._summary()
        yield from _listed("unusable", [str(case.error) for case in self.bad], max_lines)
        warnings = [f"case {case.source.case}: {warning}" for case in self.usable for warning in case.warnings]
        yield from _listed("warnings", warnings, max_lines)
        yield from _listed("series that are not phases", self._skipped_series(), max_lines)
        unlisted = [f"{name}: {reason}" for name, reason in self.listing.unlisted.items()]
        yield from _listed("not cases", unlisted, max_lines)
        if self.usable:
            yield self._cost(params)

    def require_usable(self, params: IngestParams) -> None:
        """Raise InputError if `dvc repro` would stop at this cohort."""
        if not self.usable:
            raise InputError(
                "no case is usable",
                file=self.path,
                found=f"{len(self.bad)} cases, all with an error",
                expected="at least one",
                hint="see the lines above",
            )
        if self.bad and params.on_error == "raise":
            raise InputError(
                "ingest would stop",
                file=self.path,
                found=f"{len(self.bad)} unusable cases",
                expected="none, since ingest.on_error is raise",
                hint="correct them, or skip them: dvc exp run -S ingest.on_error=skip",
            )

    def _summary(self) -> Iterator[str]:
        files, size = sum(case.files for case in self.cases), sum(case.size for case in self.cases) / GB
        yield f"{self.path}: layout {self.layout}, {len(self.cases)} cases, {files} files, {size:.1f} GB"
        masked = sum(case.source.mask is not None for case in self.usable)
        boxed = sum(case.source.box is not None for case in self.usable)
        yield f"usable: {len(self.usable)}, of these {masked} with a mask and {boxed} with an annotated box"
        yield _counted("sites", (case.source.site for case in self.usable))
        yield _counted("phases", (phase for case in self.usable for phase in case.phases))
        yield _counted("geometries", (case.geometry.partition(", first")[0] for case in self.usable))

    def _skipped_series(self) -> list[str]:
        """Return one line per description and reason, without the thousands of different series numbers."""
        lines = (line for case in self.usable for line in case.skipped_series)
        kinds = Counter(f"{line.rpartition(' (')[0]}: {line.rpartition(': ')[2]}" for line in lines)
        return [f"{kind} ({count})" for kind, count in kinds.most_common()]

    def _cost(self, params: IngestParams) -> str:
        """Return the expected gigabytes and minutes, measured with one typical case."""
        typical = sorted(self.usable, key=lambda case: case.ingested)[len(self.usable) // 2]
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = ingest_case(typical.source, Path(folder), params)
            seconds = time.perf_counter() - start
        if result.error:
            return f"a case with valid headers cannot be ingested: {result.error}"
        size = sum(case.ingested for case in self.usable)
        minutes = seconds * size / typical.ingested / params.processes / 60
        return (
            f"expected: {size / GB:.1f} GB of volumes, and as much again in DVC's cache unless links are on; ingest "
            f"about {minutes:.1f} minutes with {params.processes} workers ({seconds:.1f} s for case "
            f"{typical.source.case})"
        )


def check_cohort(path: Path, params: IngestParams, layout: str | None = None) -> CohortCheck:
    """Read the headers of every case of a cohort; `layout` replaces ingest.layout.

    Raises InputError if the folder is not a cohort in a known layout.
    """
    name, listing = read_cohort(path, layout or params.layout)
    return CohortCheck(path, name, listing, _check_cases(listing.sources, params.processes))


def _check_cases(sources: Sequence[CaseSource], workers: int) -> list[Preflight]:
    shared = shared_patients(sources)
    with ProcessPoolExecutor(max(1, min(workers, len(sources)))) as pool:
        cases = list(progress(pool.map(preflight_case, sources), "check", total=len(sources), unit="case"))
    return [replace(case, error=case.error or shared.get(case.source.case)) for case in cases]


def _counted(title: str, values: Iterable[str]) -> str:
    counts = Counter(values).most_common(MAX_SHOWN)
    return f"{title}: " + ", ".join(f"{value} ({count})" for value, count in counts)


def _listed(title: str, lines: Sequence[str], max_lines: int | None) -> Iterator[str]:
    if lines:
        yield f"{title}: {len(lines)}"
        yield from (f"  {line}" for line in lines[:max_lines])
    if max_lines is not None and len(lines) > max_lines:
        yield f"  ... and {len(lines) - max_lines} more: see them with --all"
