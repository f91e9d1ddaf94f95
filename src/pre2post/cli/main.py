"""The command `pre2post`. Each subcommand is a file of this folder, imported only when it is called or listed.

These files import nothing heavy at the top, so that `pre2post --help` starts fast; their functions do.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from pre2post.core.errors import one_line, run_stage

COMMANDS = ("phantom", "check-cohort", "predict", "import-weights", "score-mama-synth", "verify", "check-remote")
USAGE_ERROR = 2  # exit code for wrong options; 1 is for unusable input
INTERRUPTED = 130  # exit code of programs that Ctrl-C ends


class LazyCommands(click.Group):
    """A group whose subcommand `a-b` is the function `a_b` in the file a_b.py of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(import_module(f"pre2post.cli.{name}"), name)


def print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        import pre2post

        click.echo(f"pre2post {pre2post.__version__}")
        context.exit()


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
def cli() -> None:
    """Predict post-contrast breast MRI from pre-contrast MRI, and check cohorts, weights and results.

    The pipeline itself runs with `make repro` or `dvc repro`.

    \b
    Examples:
      pre2post predict pre.nii.gz synthetic.nii.gz --weights generator.safetensors
      pre2post check-cohort data
      pre2post COMMAND --help
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `pre2post` with these arguments, by default those of the command line.

    Unusable input ends with one line and exit code 1, wrong options with one line and exit code 2.
    """
    run_stage(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    try:
        status = cli.main(arguments, "pre2post", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # `pre2post` alone: its message is the help
        error.show()
        sys.exit(USAGE_ERROR)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "pre2post"
        message = one_line(error.format_message()).rstrip(".")
        click.echo(f"error: {message}; what to do: see {command} --help", err=True)
        sys.exit(USAGE_ERROR)
    except click.Abort:
        sys.exit(INTERRUPTED)
    if isinstance(status, int) and status:
        sys.exit(status)
