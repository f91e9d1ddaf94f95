"""The command `pre2post check-remote`."""

import sys

import click


@click.command()
@click.argument("outputs", nargs=-1, metavar="[OUTPUT]...")
@click.option("--remote", "-r", metavar="NAME", help="Name of the remote.  [default: core.remote of .dvc/config]")
@click.option("--repair", is_flag=True, help="Upload missing or damaged objects again, from the local cache.")
def check_remote(outputs: tuple[str, ...], remote: str | None, repair: bool) -> None:
    """Check the objects of the current commit on a DVC remote.

    Every object of each OUTPUT (a path or a stage of dvc.yaml; by default all) is read completely and compared with
    its hash. The exit code is 1 if an object is missing or damaged.

    \b
    Examples:
      pre2post check-remote
      pre2post check-remote artifacts/gan --remote shared
      pre2post check-remote --repair
    """
    from pre2post.core.errors import InputError
    from pre2post.pipeline.remote import check_remote as read_objects

    with read_objects(outputs, remote) as check:
        if check.all_missing and not repair:  # an HTTP server that is down looks the same
            raise InputError(
                "no object is on the remote",
                file=check.path,
                found=f"none of {len(check.objects)} objects",
                hint="check the url and that the server is up, or `dvc push` first",
            )
        for stored, problem in check.bad.items():
            click.echo(f"{stored.name}: {problem} ({stored.oid})")
        bad = 0
        for stored in check.bad:
            remaining = check.repair(stored) if repair else "not repaired"
            bad += remaining is not None
            if repair:
                click.echo(f"{stored.name}: {remaining or 'uploaded again, intact now'}")
    click.echo(f"{len(check.objects)} objects in {check.path}: {bad} missing or damaged")
    if bad and not repair:
        click.echo("what to do: `pre2post check-remote --repair`, in a clone with intact copies")
    if bad:
        sys.exit(1)
