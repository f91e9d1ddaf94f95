"""The command `pre2post verify`."""

import sys

import click


@click.command()
@click.argument("metrics", nargs=-1, metavar="[FILE[:KEY]]...")
@click.option(
    "--revision", default="HEAD", show_default=True, help="Commit, branch, tag or experiment to compare with."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="FRACTION",
    help="Relative difference that is allowed, for results of another kind of machine.",
)
def verify(metrics: tuple[str, ...], revision: str, tolerance: float) -> None:
    """Recompute metrics and compare them with Git.

    The stage that writes FILE runs once in a temporary folder, on the artifacts in the working directory: first run
    `dvc pull` or `dvc repro`. Without FILE, all metrics are verified. The exit code is 1 if a number differs.

    \b
    Examples:
      pre2post verify metrics/synthesis.json
      pre2post verify metrics/same.json:mae --revision main
      pre2post verify --tolerance 0.001
    """
    from pre2post.pipeline.verify import metrics_files
    from pre2post.pipeline.verify import verify as compare

    different = False
    for name in metrics or metrics_files():
        verdict = compare(name, revision, tolerance)
        click.echo(verdict)
        different |= bool(verdict.differences)
    if different:
        sys.exit(1)
