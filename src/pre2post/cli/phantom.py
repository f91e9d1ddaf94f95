"""The command `pre2post phantom`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder to write: a new one, or that of an earlier phantom.",
)
@click.option("--cases", type=click.IntRange(1), default=160, show_default=True, help="Number of patients.")
@click.option("--seed", type=click.IntRange(0), default=2026, show_default=True, help="Seed of all random numbers.")
@click.option("--matrix", type=click.IntRange(16), default=128, show_default=True, help="Pixels per side at site A.")
@click.option("--slices", type=click.IntRange(4), default=24, show_default=True, help="Slices at site A.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per CPU core]")
def phantom(output: Path, cases: int, seed: int, matrix: int, slices: int, workers: int | None) -> None:
    """Write the embedded cohort of simulated breast MRI.

    It consists of DICOM series in the layout of the Duke download, tumour masks and tables. The same options give the
    same bytes. A complete phantom is left as it is.

    \b
    Examples:
      pre2post phantom
      pre2post phantom --output small --cases 14 --matrix 32 --slices 8
    """
    from pre2post.phantom.cohort import write_cohort

    new = write_cohort(output, cases, seed, matrix, slices, workers)
    click.echo(f"{output}: {'written' if new else 'complete already, nothing to do'}")
