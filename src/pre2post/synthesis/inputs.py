"""Input of prediction: volume files, DICOM folders, one of several volumes in time, and single slices."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series, describe_slices, find_series, read_series
from pre2post.image.volume import Volume, to_lps
from pre2post.io.single_slice import SingleSlice, is_slice, read_slice
from pre2post.io.validation import check_finite
from pre2post.io.volume_file import read_size, read_time_point, read_volume
from pre2post.mama_synth.metrics import from_z_score, to_z_score
from pre2post.synthesis.generator import LoadedGenerator
from pre2post.synthesis.predict import predict_phases

INPUTS = (".nii", ".nii.gz", ".mha", ".mhd")
ROLE = re.compile(r"pre|post([1-9])")  # names of phases in order of time


@dataclass(frozen=True)
class Input:
    """A pre-contrast image in scanner units, with its DICOM series or its single slice if it comes from one."""

    volume: Volume
    series: Series | None = None
    single: SingleSlice | None = None

    def predict(self, generator: LoadedGenerator) -> dict[str, Volume]:
        """Return the synthetic volume of each phase in scanner units, in the geometry of the input."""
        return predict_phases(self.volume, generator)

    def restore(self, synthetic: Volume) -> Volume:
        """Return a synthetic volume in the units of the input: z-scores for a single slice, else scanner units."""
        return synthetic if self.single is None else synthetic.like(to_z_score(synthetic.array).astype(np.float32))


def check_input(source: Path) -> None:
    """Raise InputError if a path is missing or of an unknown kind."""
    if not source.exists():
        raise InputError("the input is missing", file=source, expected="a volume, or a folder with a DICOM series")
    if not source.is_dir() and not source.name.endswith(INPUTS):
        raise InputError(
            "the input is of an unknown kind",
            file=source,
            expected=f"{', '.join(INPUTS)} or a folder",
            hint="for DICOM, give the folder of the series",
        )


def read_input(source: Path, phase: int | str | None = None) -> Input:
    """Read a volume file, the DICOM series in a folder, or a single slice.

    phase: which one of several volumes, see choose_phase. Raises InputError for unusable input, for several volumes
    without `phase`, and for a `phase` that does not exist.
    """
    check_input(source)
    if source.is_dir():
        series = find_series(source, lambda volumes: _choose_series(volumes, phase, source))
        return Input(read_series(series), series=series)
    if is_slice(source):
        choose_phase(phase, ["the slice"], source)
        return _read_slice(source)
    return Input(_read_file(source, phase))


def choose_phase(phase: int | str | None, volumes: Sequence[str], source: Path, names: Sequence[str] = ()) -> int:
    """Return the index of the wanted one of several volumes in order of time, described by `volumes`.

    phase: its number from 1, or a part of its name that no other has, or "pre", "post1", ... if no name decides.
    Without `phase` there must be one volume. Raises InputError with the list of volumes if none or several match.
    """
    wanted = str(phase).strip()
    numbers = range(len(volumes))
    if phase is None:
        found = [*numbers]
    elif wanted.isdecimal():
        found = [index for index in numbers if index + 1 == int(wanted)]
    else:
        found = [index for index, name in enumerate(names) if wanted.lower() in name.lower()]
        role = ROLE.fullmatch(wanted)
        if len(found) != 1 and role and len(set(names)) <= 1:
            found = [index for index in numbers if index == int(role[1] or 0)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{index + 1}: {volume}" for index, volume in enumerate(volumes))
    raise InputError(
        "the input holds several volumes" if phase is None else f"the phase {wanted!r} is not one volume of the input",
        file=source,
        found=listed,
        expected="one",
        hint=f"choose one with --phase 1 to {len(volumes)}" if len(volumes) > 1 else "leave out --phase",
    )


def _choose_series(volumes: Sequence[Sequence[SliceHeader]], phase: int | str | None, source: Path) -> int:
    names = [slices[0].description for slices in volumes]
    return choose_phase(phase, [describe_slices(slices) for slices in volumes], source, names)


def _read_file(source: Path, phase: int | str | None) -> Volume:
    """Read a volume in the orientation of its file. Raises InputError for values that are not finite numbers."""
    try:
        size = read_size(source)
    except RuntimeError:
        size = ()  # read_volume reports the error
    if len(size) == 4:
        index = choose_phase(phase, ["{} x {} x {} voxels".format(*size)] * size[3], source)
        volume = read_time_point(source, index)
    else:
        choose_phase(phase, ["the volume"], source)
        volume = read_volume(source)
    check_finite(volume, source)
    return volume


def _read_slice(source: Path) -> Input:
    """Read a slice in z-scores of MAMA-SYNTH. Raises InputError if it is not axial."""
    single = read_slice(source)
    volume = single.volume.like(from_z_score(single.volume.array))
    if len(to_lps(volume).array) != 1:
        raise InputError("the slice is not axial", file=source, expected="rows and columns in the axial plane")
    return Input(volume, single=single)
