"""Turns one pre-contrast volume (NIfTI, MetaImage, a DICOM series) into a synthetic post-contrast one of each phase."""

import argparse
from pathlib import Path

from pre2post.core.device import best_device
from pre2post.core.errors import InputError, run_stage
from pre2post.dicom.series import find_series, read_series
from pre2post.dicom.write import write_synthetic_series
from pre2post.image.intensity import IntensityScale
from pre2post.image.n4 import log_bias_field, remove_bias
from pre2post.image.volume import Volume, describe_geometry, from_lps, to_lps
from pre2post.io.finite import check_finite
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.pipeline.model_card import check_card
from pre2post.pipeline.params import Params, load_params
from pre2post.synthesis.volumes import Infer, synthetic_volumes

INPUTS = (".nii", ".nii.gz", ".mha", ".mhd")
OUTPUTS = (".nii", ".nii.gz", ".mha")  # one file each; of the two of .mhd, one would appear before the other


def main() -> None:
    arguments = read_arguments()
    params = load_params()
    for output in outputs(arguments.output, params.slices.phases):
        check_paths(arguments.input, output)
    weights = Path(arguments.weights or params.synthesis.weights)
    infer = load_infer(weights, params)
    check_card(weights, params)
    series = find_series(arguments.input) if arguments.input.is_dir() else None
    volumes = predict(read_series(series) if series else read_file(arguments.input), infer, params)
    for synthetic, output in zip(volumes, outputs(arguments.output, params.slices.phases), strict=True):
        if is_folder(arguments.output):
            write_synthetic_series(synthetic, series, output)
        else:
            write_volume(synthetic, output)
        print(f"{output}: {describe_geometry(synthetic)}")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Intensity scale, bias correction and slice size are "
        "those of params.yaml. The result is a guess from anatomy: not for diagnosis.",
    )
    parser.add_argument(
        "--input",
        type=Path,
        required=True,
        metavar="VOLUME",
        help=f"pre-contrast volume ({', '.join(INPUTS)}), or a folder with the files of a DICOM series",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="VOLUME",
        help=f"synthetic post-contrast volume to write ({', '.join(OUTPUTS)}); or, where the input is "
        "a DICOM series, a new folder (a name without an ending) for a de-identified one, which "
        "viewers lay over others made from that study, not over the study itself; where "
        "slices.phases names several, each gets its name added (OUT_post1.mha) or a folder in it",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="of the generator, from this pipeline or import_weights.py; default: synthesis.weights",
    )
    return parser.parse_args()


def outputs(target: Path, phases: list[str]) -> list[Path]:
    """Where the volume of each phase goes: one to `target`, several to post_post1.mha, post_post2.mha of post.mha, or
    into folders of their own in it."""
    if len(phases) == 1:
        return [target]
    if is_folder(target):
        return [target / phase for phase in phases]
    name, dot, endings = target.name.partition(".")
    return [target.with_name(f"{name}_{phase}{dot}{endings}") for phase in phases]


def check_paths(source: Path, target: Path) -> None:
    """Raises InputError when these cannot be an input and an output."""
    if not source.exists():
        raise InputError("the input is missing", file=source, expected="a volume, or a folder with a DICOM series")
    if not source.is_dir() and not source.name.endswith(INPUTS):
        raise InputError(
            "the input is of no known kind",
            file=source,
            expected=f"{', '.join(INPUTS)} or a folder",
            hint="give the whole folder of a DICOM series",
        )
    if is_folder(target):
        check_folder(source, target)
    elif not target.name.endswith(OUTPUTS):
        raise InputError(
            "the output is of no known kind",
            file=target,
            expected=f"{', '.join(OUTPUTS)}, or a folder's name without an ending",
        )
    elif target.exists() and target.samefile(source):
        raise InputError("input and output are the same file", file=target, hint="choose another output")


def is_folder(target: Path) -> bool:
    """Whether an output is to become a folder of DICOM files."""
    return target.is_dir() or not target.suffix


def check_folder(source: Path, target: Path) -> None:
    """Raises InputError when a DICOM series cannot be written into this folder."""
    if not source.is_dir():
        raise InputError(
            "the output is a folder, which is for DICOM, and the input is no DICOM series",
            file=target,
            found=f"the input {source}",
            hint=f"name a file to write ({', '.join(OUTPUTS)})",
        )
    if target.exists() and not target.is_dir():
        raise InputError("the output is there already, and is no folder", file=target, hint="choose another name")
    if target.exists() and any(target.iterdir()):
        raise InputError(
            "the output folder is not empty",
            file=target,
            expected="a new or an empty folder",
            hint="choose another name, or empty it",
        )


def load_infer(weights: Path, params: Params) -> Infer:
    """The generator as a function of slices, on the GPU where there is one."""
    import torch  # seconds: only once the arguments are known to be right

    from pre2post.pix2pixhd.checkpoint import load_generator
    from pre2post.pix2pixhd.infer import infer

    torch.set_num_threads(params.gan.threads)
    generator = load_generator(weights).to(best_device())
    generator.architecture.check_size(params.slices.size)
    return lambda slices: infer(generator, slices, params.synthesis.batch_size, len(params.slices.phases))


def read_file(path: Path) -> Volume:
    """The volume in a file, turned as it is there. Raises InputError for values that are no finite numbers."""
    volume = read_volume(path)
    check_finite(volume, path)
    return volume


def predict(volume: Volume, infer: Infer, params: Params) -> list[Volume]:
    """The synthetic volume of each phase, float32 in scanner units, in the exact geometry of `volume`, however that is
    turned.

    Every step is that of ingest and synthesize. Where ingest.n4_bias_correction is on, the bias field is removed before
    the network and put back after it: coils shade the output as they shade the input, so voxels can be compared.
    """
    pre, settings = to_lps(volume), params.ingest
    log_field = log_bias_field(pre) if settings.n4_bias_correction else None
    if log_field is not None:
        pre = pre.like(remove_bias(pre.array, log_field))
    scale = IntensityScale.from_pre(pre.array, settings.low_percentile, settings.high_percentile, settings.headroom)
    volumes = synthetic_volumes(pre, scale, params.slices.size, infer)
    if log_field is not None:
        volumes = [synthetic.like(remove_bias(synthetic.array, -log_field)) for synthetic in volumes]
    return [from_lps(synthetic, volume) for synthetic in volumes]


if __name__ == "__main__":
    run_stage(main)
