"""Prediction from files to files: paths are checked first, results appear completely or not at all."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pre2post.core.errors import InputError, error_context
from pre2post.core.files import atomic_folder
from pre2post.dicom.write import write_synthetic_series
from pre2post.image.volume import describe_geometry
from pre2post.io.single_slice import SUFFIX, SingleSlice, is_slice, list_slices, read_slice, write_slice
from pre2post.io.volume_file import write_volume
from pre2post.synthesis.generator import LoadedGenerator, find_weights, load_network, read_settings
from pre2post.synthesis.inputs import check_input, read_input

OUTPUTS = (".nii", ".nii.gz", ".mha")  # one file each; of the two of .mhd, one would appear before the other


def predict_files(
    source: Path,
    target: Path,
    weights: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    phase: str | None = None,
    threads: int | None = None,
) -> Iterator[str]:
    """Predict from `source` to `target`; yield a line per output.

    Args:
        source: volume file, folder of a DICOM series, single slice, or folder of single slices.
        target: file to write, or a new folder for DICOM or slices. Each of several phases gets its own file or folder.
        weights: of the generator, by default those of the pipeline.
        settings: those that its card lacks, see read_settings.
        phase: which of several volumes of the source, see choose_phase.
        threads: of the CPU; None: as many as torch chooses.

    Raises InputError before anything is written.
    """
    check_input(source)
    file = find_weights(weights)
    found = read_settings(file, settings or {})
    slices = source.is_dir() and any(source.glob(f"*{SUFFIX}"))
    targets = output_paths(target, found.phases)
    for path in targets.values():
        check_paths(source, path, slices)
    if threads:
        import torch

        torch.set_num_threads(threads)
    if slices:
        files = list_slices(source)
        for one in files.values():
            read_slice(one)  # so that a bad one is found before the hours of prediction
        yield from _predict_slices(files, targets, load_network(file, found))
        return
    image = read_input(source, phase)
    generator = load_network(file, found)
    with error_context(file=source):
        volumes = image.predict(generator)
    for name, path in targets.items():
        synthetic = image.restore(volumes[name])
        if image.single is not None:
            write_slice(SingleSlice(synthetic, image.single.flat), path)
        elif is_folder(path):
            assert image.series is not None  # check_paths allows a folder for DICOM only
            write_synthetic_series(synthetic, image.series, path)
        else:
            write_volume(synthetic, path)
        yield f"{path}: {describe_geometry(synthetic)}"


def output_paths(target: Path, phases: list[str]) -> dict[str, Path]:
    """Return the output of each phase: of one phase `target`, of several post_post1.mha, post_post2.mha for post.mha,
    or a subfolder each."""
    if len(phases) == 1:
        return {phases[0]: target}
    if is_folder(target):
        return {phase: target / phase for phase in phases}
    name, dot, endings = target.name.partition(".")
    return {phase: target.with_name(f"{name}_{phase}{dot}{endings}") for phase in phases}


def check_paths(source: Path, target: Path, slices: bool) -> None:
    """Raise InputError if `target` cannot be the output of `source`, which holds single slices if `slices`."""
    if is_folder(target):
        _check_folder(source, target)
    elif slices:
        raise InputError(
            "the output of a folder of slices must be a folder", file=target, expected="a name without a suffix"
        )
    elif not target.name.endswith(OUTPUTS):
        raise InputError(
            "the output is of an unknown kind",
            file=target,
            expected=f"{', '.join(OUTPUTS)}, or a folder name without a suffix for DICOM",
        )
    elif is_slice(source) and target.suffix != SUFFIX:
        raise InputError("the output of a single slice must be a MetaImage", file=target, expected=SUFFIX)
    elif target.exists() and target.samefile(source):
        raise InputError("input and output are the same file", file=target, hint="choose another output")


def is_folder(target: Path) -> bool:
    """Return whether an output is a folder of files."""
    return target.is_dir() or not target.suffix


def _check_folder(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise InputError(
            "the output is a folder, which is for DICOM and for folders of slices, and the input is a file",
            file=target,
            found=f"the input {source}",
            hint=f"name a file to write ({', '.join(OUTPUTS)})",
        )
    if target.exists() and not target.is_dir():
        raise InputError("the output exists and is not a folder", file=target, hint="choose another name")
    if target.exists() and any(target.iterdir()):
        raise InputError(
            "the output folder is not empty",
            file=target,
            expected="a new or an empty folder",
            hint="choose another name, or empty it",
        )


def _predict_slices(
    files: Mapping[str, Path], targets: Mapping[str, Path], generator: LoadedGenerator
) -> Iterator[str]:
    """Predict slice after slice, into folders that appear when all are complete."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        folders = {name: stack.enter_context(atomic_folder(path)) for name, path in targets.items()}
        for file in files.values():
            image = read_input(file)
            assert image.single is not None
            with error_context(file=file):
                volumes = image.predict(generator)
            for name, folder in folders.items():
                write_slice(SingleSlice(image.restore(volumes[name]), image.single.flat), folder / file.name)
    for path in targets.values():
        yield f"{path}: {len(files)} slices"
