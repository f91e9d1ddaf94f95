"""The command `pre2post import-weights`."""

from pathlib import Path
from typing import Any

import click

from pre2post.cli.generator_options import generator_options


@click.command()
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD.pth")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW.safetensors")
@click.option(
    "--trained-on",
    default="duke_spie2024",
    show_default=True,
    metavar="WHO",
    help="Training patients: duke_spie2024 for the 668 of the released weights; a file, splits.json (its gan_train) or "
    "a text with one case or patient per line; or unknown. Breast_MRI_001 and DUKE_001 name the same Duke patient. The "
    "pipeline refuses to score these patients with the weights.",
)
@generator_options
def import_weights(old: Path, new: Path, trained_on: str, **settings: Any) -> None:
    """Convert weights of the original Pix2PixHD.

    The output is a weights file of this project, with a model card next to it. OLD.pth is a state dict as the original
    implementation saves it. No code in it is run. The other options describe the training; `pre2post predict` reads
    them from the card. For the released weights they have the published values.

    \b
    Examples:
      pre2post import-weights 30_net_G.pth duke.safetensors
      pre2post import-weights latest_net_G.pth mine.safetensors --trained-on patients.txt \\
        --size 256 --output-phases post1 --low-percentile 0 --high-percentile 100 --headroom 1 --no-n4
    """
    from pre2post.synthesis.import_weights import import_weights as convert

    click.echo(convert(old, new, trained_on, settings))
