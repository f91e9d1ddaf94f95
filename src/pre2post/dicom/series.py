"""DICOM series: slices ordered by position, checked, and read into a volume."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import NotDicomFile, NotMrImage, SliceHeader, read_headers
from pre2post.dicom.pixels import read_pixels
from pre2post.image.volume import Vector, Volume, geometry_only, to_lps, whole_numbers

STEP_TOLERANCE = 0.01  # of the slice spacing: headers round to micrometres, a missing slice doubles the step
STEPS = (0.05, 20.0)  # mm: thick localizers stay below 20
AGREEMENT = 1e-4  # of spacing (mm) and direction cosines between the slices of a series: headers round to 5 or 6 digits
SUFFIX = ".dcm"  # in archives; exports often have none
INDEX = "DICOMDIR"  # of a disc

Moment = tuple[float, float, int, float, int]


@dataclass(frozen=True)
class Series:
    """A series of consistent slices, ordered by position along their normal, `step` mm apart."""

    case: str
    slices: tuple[SliceHeader, ...]
    step: float

    @property
    def head(self) -> SliceHeader:
        return self.slices[0]

    @property
    def folder(self) -> Path:
        return self.head.file.parent

    @property
    def moment(self) -> Moment:
        """Return the sort key of the series of an examination, see moment_of."""
        return moment_of(self.slices)


def moment_of(slices: Sequence[SliceHeader]) -> Moment:
    """Return the sort key in time of the slices of one volume.

    It holds acquisition date and time, trigger time, temporal position, content time and series number. Missing
    ones are -1; a missing acquisition time is replaced by the content time. The phases of one series share the
    acquisition time and differ in trigger time or temporal position.
    """
    acquired, trigger, temporal, stored = (
        -1 if None in values else min(values)
        for values in ([getattr(one, name) for one in slices] for name in ("acquired", "trigger", "temporal", "stored"))
    )
    return (acquired if acquired >= 0 else stored, trigger, temporal, stored, slices[0].number)


def scan_series(folder: Path, case: str) -> list[list[SliceHeader]]:
    """Read the headers of all MR slices in a folder: one list per series, or per phase if a series holds several.

    Skip hidden files, subfolders, DICOM files that are not MR images, and other files without the suffix `.dcm` that
    are not DICOM. Raises InputError for an unusable file.
    """
    groups: dict[str, list[SliceHeader]] = {}
    for file in _candidates(folder):
        try:
            headers = read_headers(file, case)
        except NotMrImage:
            continue
        except NotDicomFile:
            if file.suffix.lower() == SUFFIX:
                raise
            continue
        groups.setdefault(headers[0].series, []).extend(headers)
    return [phase for group in groups.values() for phase in _phases(group)]


def order_slices(headers: Sequence[SliceHeader], case: str) -> Series:
    """Order the slices of one series along their normal.

    Raises InputError if they differ in patient, study, orientation, size, spacing or frame of reference, if a slice is
    missing or duplicated, or if their steps are uneven or impossible.
    """
    _check_agreement(headers, case)
    row, column = np.reshape(headers[0].orientation, (2, 3))
    lengths = (np.linalg.norm(row), np.linalg.norm(column))
    if not np.allclose(lengths, 1, rtol=0, atol=AGREEMENT) or abs(row @ column) > AGREEMENT:
        raise InputError(
            "rows and columns of the slices are not perpendicular",
            case=case,
            file=headers[0].file,
            found=headers[0].orientation,
            expected="two perpendicular unit vectors",
        )
    if len(headers) < 2:
        raise InputError(
            "a single slice is not a volume",
            case=case,
            file=headers[0].file,
            found="1 slice",
            expected="at least 2",
            hint="download the series again",
        )
    normal = np.cross(row, column)
    heights = np.array([header.position for header in headers]) @ normal
    ordered = [headers[place] for place in np.argsort(heights, kind="stable")]
    return Series(case, tuple(ordered), _step(ordered, normal, case))


def stored_geometry(series: Series) -> Volume:
    """Return the geometry of the slices of a series as they are stored, without values."""
    columns, rows = series.head.size
    return geometry_only((len(series.slices), rows, columns), *_geometry(series))


def lps_geometry(series: Series) -> Volume:
    """Return the geometry of read_series, without values."""
    return to_lps(stored_geometry(series))


def read_series(series: Series) -> Volume:
    """Read the pixels of a series in scanner units (rescale slope and intercept applied), turned to LPS.

    The type is int16 or uint16 if 16 bits hold all values exactly and slopes and intercepts are integers; else float32.
    Padding becomes air, see read_pixels. Raises InputError naming the file whose pixels cannot be decoded.
    """
    volume = to_lps(Volume(read_pixels(series.slices, series.case), *_geometry(series)))
    layouts = {(header.pixels.slope, header.pixels.intercept) for header in series.slices}
    whole = all(float(number).is_integer() for layout in layouts for number in layout)
    return whole_numbers(volume) if whole and volume.array.dtype.kind == "f" else volume


def read_folder(folder: Path) -> Volume:
    """Read the volume of the only series in a folder, as find_series and read_series do."""
    return read_series(find_series(folder))


def find_series(folder: Path, choose: Callable[[Sequence[Sequence[SliceHeader]]], int] | None = None) -> Series:
    """Return the only volume in a folder, or one of several.

    choose: returns the index of the wanted one among the headers of several volumes, in order of time.
    Raises InputError if there is no volume or an unusable one, and for several without `choose`.
    """
    name = folder.resolve().name  # serves as the case in messages
    volumes = sorted(scan_series(folder, name), key=moment_of)
    if not volumes:
        raise InputError(
            "the folder holds no DICOM MR slices",
            file=folder,
            found=f"{len(list(folder.iterdir()))} other files or folders",
            expected="the files of one series",
            hint="give the folder that holds them",
        )
    if choose is None and len(volumes) > 1:
        raise InputError(
            "the folder holds several DICOM volumes",
            file=folder,
            found=", ".join(map(describe_slices, volumes)),
            expected="one",
            hint="move the pre-contrast series to a separate folder",
        )
    return order_slices(volumes[choose(volumes) if choose else 0], name)


def describe_slices(slices: Sequence[SliceHeader]) -> str:
    """Return the name, number and size of a volume, for messages."""
    return f"{slices[0].description!r} (number {slices[0].number}, {len(slices)} slices)"


def _candidates(folder: Path) -> list[Path]:
    """Return the files that may be DICOM by their names, sorted. Broken links count if their suffix is `.dcm`."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.name.upper() != INDEX and _may_be_dicom(entry)
        )
    return [folder / name for name in names]


def _may_be_dicom(entry: os.DirEntry[str]) -> bool:
    if entry.name.lower().endswith(SUFFIX):
        return not os.path.isdir(entry) if entry.is_symlink() else not entry.is_dir()
    return os.path.isfile(entry) if entry.is_symlink() else entry.is_file()  # os.path accepts links to themselves


def _phases(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split the slices of one SeriesInstanceUID by temporal position if positions repeat."""
    if len({header.position for header in group}) == len(group):
        return [group]
    phases: dict[int | None, list[SliceHeader]] = {}
    for header in group:
        phases.setdefault(header.temporal, []).append(header)
    return list(phases.values())


def _geometry(series: Series) -> tuple[Vector, Vector, tuple[float, ...]]:
    """Return spacing, origin and direction of the slices as they are stored."""
    head = series.head
    row, column = np.reshape(head.orientation, (2, 3))
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    return (*head.spacing, series.step), head.position, tuple(axes.ravel().tolist())


def _check_agreement(headers: Sequence[SliceHeader], case: str) -> None:
    first = headers[0]
    for header in headers[1:]:
        for name in ("patient", "study", "frame", "size", "spacing", "orientation"):
            here, there = getattr(header, name), getattr(first, name)
            numbers = name in ("spacing", "orientation")
            if here != there and not (numbers and np.allclose(here, there, rtol=0, atol=AGREEMENT)):
                shown = name not in ("patient", "study", "frame")  # these identify a person to readers with the record
                raise InputError(
                    f"the slices of one series differ in their {name}",
                    case=case,
                    file=header.file,
                    found=here if shown else "another one",
                    expected=f"{there if shown else 'the same'}, as in {first.file.name}",
                    hint="remove the differing slice, or download the series again",
                )


def _step(ordered: Sequence[SliceHeader], normal: np.ndarray, case: str) -> float:
    """Return the step between adjacent slices in mm. Raises InputError if it is uneven or impossible."""
    moves = np.diff([header.position for header in ordered], axis=0)
    steps = moves @ normal
    usual = float(
        np.sort(steps)[(len(steps) - 1) // 2]
    )  # the lower median, so that one gap does not count as the usual step
    if usual > STEPS[1] or 0 < usual < STEPS[0]:
        raise InputError(
            "the slice spacing is impossible for an MR image",
            case=case,
            file=ordered[0].file,
            found=f"a step of {usual:g} mm",
            expected="{:g} to {:g} mm".format(*STEPS),
            hint="correct ImagePositionPatient, or leave the series out",
        )
    for number, (move, step) in enumerate(zip(moves, steps, strict=True)):
        before, after = ordered[number], ordered[number + 1]
        if abs(step) <= STEP_TOLERANCE * max(usual, STEP_TOLERANCE):
            raise InputError(
                "two slices are at one position: a duplicated slice",
                case=case,
                file=after.file,
                found=f"the position of {before.file.name}",
                expected=f"a step of {usual:.3f} mm",
                hint="remove one of them",
            )
        if step > (2 - STEP_TOLERANCE) * usual:
            raise InputError(
                f"a slice is missing after {before.file.name}",
                case=case,
                file=after.file,
                found=f"a step of {step:.3f} mm",
                expected=f"{usual:.3f} mm",
                hint="download the series again, or leave the case out",
            )
        if abs(step - usual) > STEP_TOLERANCE * usual or np.linalg.norm(move - step * normal) > STEP_TOLERANCE * usual:
            raise InputError(
                "the slices are not evenly spaced",
                case=case,
                file=after.file,
                found=f"a move of {np.round(move, 3).tolist()} mm from {before.file.name}",
                expected=f"{usual:.3f} mm along the normal",
                hint="leave the case out",
            )
    return float(steps.mean())
