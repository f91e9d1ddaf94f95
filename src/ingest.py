"""Convert a cohort to NIfTI volumes by role, with one intensity scale per patient, and a table of cases."""

from pathlib import Path

from pre2post.cohort.case import write_cases
from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import COHORT, VOLUMES
from pre2post.core.resume import resume_root
from pre2post.core.section import StageParams
from pre2post.ingest.ingest_cache import IngestCache
from pre2post.ingest.ingest_case import CASE_PARAMS
from pre2post.ingest.ingest_cohort import ingest_cohort, unlisted_rows
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.params import IngestParams

CODE = [  # a change of these files makes cached cases stale
    Path(__file__),
    *(
        file
        for package in ("cohort", "dicom", "image", "ingest", "io")
        for file in (Path(__file__).parent / "pre2post" / package).rglob("*.*")
        if file.suffix in (".py", ".csv")
    ),
]


class Params(StageParams):
    """The parameters of this stage."""

    ingest: IngestParams


def main() -> None:
    settings = Params.read().ingest
    root = Path(settings.cohort)
    layout, listing = read_cohort(root, settings.layout)
    print(f"{root}: {len(listing.sources)} cases in the layout {layout}")
    cache = IngestCache(resume_root() / "ingest", VOLUMES, settings.model_dump(include=CASE_PARAMS), CODE)
    with cache.locked():
        results = sorted(ingest_cohort(listing.sources, cache, settings), key=lambda result: str(result.row["case"]))
        used = [result.case for result in results if result.case]
        if not used:
            raise InputError("no case is usable", file=root, found=results[0].error, expected="at least one")
        cache.publish(case.id for case in used)
        write_cases(VOLUMES, used)
        write_table(COHORT, [result.row for result in results] + unlisted_rows(listing.unlisted))


if __name__ == "__main__":
    run_stage(main)
