"""The command `pre2post check-cohort`."""

import sys
from io import TextIOWrapper
from pathlib import Path

import click

MAX_LINES = 20  # of each list, unless --all is given


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--layout", help="Layout of the files: auto, duke, mama_mia or nifti.  [default: ingest.layout]")
@click.option("--all", "show_all", is_flag=True, help=f"Print all lines, not the first {MAX_LINES} of each list.")
def check_cohort(path: Path, layout: str | None, show_all: bool) -> None:
    """Check the cohort in folder PATH before ingestion.

    Print the usable cases, every fault with a hint, and the expected time and disk space. Nothing is written. Run it
    where params.yaml is: it reads the section ingest. The exit code is 1 if `dvc repro` would stop.

    \b
    Examples:
      pre2post check-cohort data
      pre2post check-cohort /path/to/cohort --layout nifti --all
    """
    from pre2post.ingest.cohort_check import Params
    from pre2post.ingest.cohort_check import check_cohort as read_headers

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be no valid text
    params = Params.read().ingest
    check = read_headers(path, params, layout)
    for line in check.report(params, None if show_all else MAX_LINES):
        click.echo(line)
    check.require_usable(params)
