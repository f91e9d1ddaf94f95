"""Turns a cohort into NIfTI volumes by role, one intensity scale a patient, and a table of cases."""

from pathlib import Path

from pre2post.cohort.case import write_cases
from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import COHORT, VOLUMES
from pre2post.core.resume import resume_root
from pre2post.core.section import StageParams
from pre2post.ingest.ingest_cache import IngestCache
from pre2post.ingest.ingest_case import SETTINGS
from pre2post.ingest.ingest_cohort import take_all, unlisted_rows
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.params import IngestParams

CODE = [
    Path(__file__),
    *(
        file
        for package in ("cohort", "dicom", "image", "ingest", "io")
        for file in (Path(__file__).parent / "pre2post" / package).rglob("*.*")
        if file.suffix in (".py", ".csv")
    ),
]


class Params(StageParams):
    """The parameters that this stage reads."""

    ingest: IngestParams


def main() -> None:
    settings = Params.read().ingest
    root = Path(settings.cohort)
    layout, listing = read_cohort(root, settings.layout)
    print(f"{root}: {len(listing.entries)} cases in the layout {layout}")
    book = IngestCache(resume_root() / "ingest", VOLUMES, settings.model_dump(include=SETTINGS), CODE)
    with book.alone():
        taken = sorted(take_all(listing.entries, book, settings), key=lambda one: str(one.row["case"]))
        used = [one.case for one in taken if one.case]
        if not used:
            raise InputError("no case is usable", file=root, found=str(taken[0].error), expected="at least one")
        book.move(case.id for case in used)
        write_cases(VOLUMES, used)
        write_table(COHORT, [one.row for one in taken] + unlisted_rows(listing.unlisted))


if __name__ == "__main__":
    run_stage(main)
