"""The command `pre2post predict`."""

import os
from pathlib import Path
from typing import Any

import click

from pre2post.cli.generator_options import generator_options

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", type=PATH, metavar="INPUT")
@click.argument("target", type=PATH, metavar="OUTPUT")
@click.option(
    "--weights",
    type=PATH,
    metavar="FILE",
    help="Generator of this pipeline or of import-weights, with its card next to it.  "
    "[default: artifacts/generator/generator.safetensors]",
)
@click.option(
    "--phase",
    metavar="PHASE",
    help="Which of several volumes in INPUT to use: its number in time from 1; pre, post1, ...; or a part of its "
    "series description.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: one per core]")
@generator_options
def predict(
    source: Path, target: Path, weights: Path | None, phase: str | None, threads: int | None, **settings: Any
) -> None:
    """Predict the post-contrast image of a pre-contrast image.

    INPUT is a volume (.nii, .nii.gz, .mha, .mhd), the folder of a DICOM series, a single slice (.mha) or a folder of
    slices. OUTPUT is a file (.nii, .nii.gz, .mha) or, for DICOM and for a folder of slices, a new folder. It has the
    geometry and the units of INPUT. A DICOM output is de-identified. If the generator predicts several phases, each
    gets its own file (OUTPUT_post1.mha) or subfolder.

    Single slices are z-scored with the statistics of MAMA-SYNTH 2026, and so is their output. Their intensity scale
    comes from the slice alone.

    Slice size, intensity scale and phases come from the card of the weights; no params.yaml is needed. The options
    --size to --n4 are only for weights whose card lacks them. The result is a guess from anatomy: not for diagnosis.

    \b
    Examples:
      pre2post predict pre.nii.gz synthetic.nii.gz
      pre2post predict dicom_folder synthetic_folder --weights generator.safetensors
      pre2post predict dynamic_series synthetic.mha --phase 1
      pre2post predict mama_synth_slices predictions --weights duke.safetensors
    """
    from pre2post.synthesis.predict_files import predict_files

    for line in predict_files(source, target, weights, settings, phase, threads or available_cores()):
        click.echo(line)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
