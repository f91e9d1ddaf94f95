"""Options for the settings of a generator's training, shared by commands."""

from collections.abc import Callable
from typing import Any

import click


class PhaseList(click.ParamType):
    """Names of phases, separated by commas."""

    name = "phases"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return value if isinstance(value, list) else [name.strip() for name in value.split(",")]


OPTIONS = (
    click.option("--size", type=int, metavar="PIXELS", help="Pixels per side of the generator's slices."),
    click.option("--output-phases", "phases", type=PhaseList(), metavar="NAMES",
                 help="Phases that the generator predicts: post1, or several as post1,post2."),
    click.option("--low-percentile", type=float, metavar="PERCENT",
                 help="Percentile of the pre-contrast volume that becomes the network's 0."),
    click.option("--high-percentile", type=float, metavar="PERCENT",
                 help="Percentile for the upper end of the scale."),
    click.option("--headroom", type=float, metavar="FACTOR",
                 help="The network's 1 is this many times as far above the low percentile as the high one."),
    click.option("--n4/--no-n4", "n4_bias_correction", default=None,
                 help="Whether the bias field was removed from the training volumes."),
)  # fmt: skip


def generator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each setting; None if it is not given."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
