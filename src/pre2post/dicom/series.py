"""DICOM series: slices in order of their position, checked, and read into a volume."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import OtherFile, OtherObject, SliceHeader, read_headers
from pre2post.dicom.pixels import read_pixels
from pre2post.image.volume import Volume, place, to_lps, whole_numbers

STEP_TOLERANCE = 0.01  # of the slice distance: headers round to micrometres, a missing slice doubles the step
STEPS = (0.05, 20.0)  # mm: thick localizers stay below 20
AGREEMENT = 1e-4  # of spacing (mm) and direction cosines between the slices of a series: headers round to 5 or 6 digits
SUFFIX = ".dcm"  # as archives name them; exports often have none
INDEX = "DICOMDIR"  # of a disc


@dataclass(frozen=True)
class Series:
    """A series whose slices agree, in order of their position along the normal, `step` mm apart."""

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
    def moment(self) -> tuple[float, float, int, float, int]:
        """What orders the series of an examination: acquisition (date and time), trigger time, temporal position, then
        content time and the series number.

        Missing ones sort first; without acquisition times content times stand for them. Multi-phase series share the
        first and differ in the second or third.
        """
        acquired, trigger, temporal, stored = (
            -1 if None in values else min(values)
            for values in (
                [getattr(one, name) for one in self.slices] for name in ("acquired", "trigger", "temporal", "stored")
            )
        )
        return (acquired if acquired >= 0 else stored, trigger, temporal, stored, self.head.number)


def scan_series(folder: Path, case: str) -> list[list[SliceHeader]]:
    """Headers of every MR slice in a folder, one list a series, or a phase where a series holds several of them.

    Files without the suffix `.dcm` are looked into, and left out where they are no DICOM; so are hidden files and
    DICOM files that are no MR images. Folders inside are not entered. Raises InputError on an unusable file.
    """
    groups: dict[str, list[SliceHeader]] = {}
    for file in _candidates(folder):
        try:
            headers = read_headers(file, case)
        except OtherObject:
            continue
        except OtherFile:
            if file.suffix.lower() == SUFFIX:
                raise
            continue
        groups.setdefault(headers[0].series, []).extend(headers)
    return [phase for group in groups.values() for phase in _phases(group)]


def order_slices(headers: Sequence[SliceHeader], case: str) -> Series:
    """Puts the slices of one series in order along their normal.

    Raises InputError when they disagree in orientation, size, spacing or frame of reference, when one is missing or is
    there twice, or when their distances differ for another reason or cannot be those of slices.
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
            hint="fetch the series again",
        )
    normal = np.cross(row, column)
    heights = np.array([header.position for header in headers]) @ normal
    ordered = [headers[place] for place in np.argsort(heights, kind="stable")]
    return Series(case, tuple(ordered), _step(ordered, normal, case))


def stored_place(series: Series) -> Volume:
    """Where the slices of a series lie as they are stored, without their values."""
    return place((len(series.slices), *series.head.size[::-1]), *_geometry(series))


def series_place(series: Series) -> Volume:
    """Where the volume of a series will lie, turned to LPS, without its values."""
    return to_lps(stored_place(series))


def read_series(series: Series) -> Volume:
    """Pixels of a series in scanner units (rescale slope and intercept applied), turned to LPS.

    int16 or uint16 where 16 bits hold all values exactly and slopes and intercepts are whole numbers; else float32.
    Padding has become air, see read_pixels. Raises InputError naming the file whose pixels cannot be decoded.
    """
    volume = to_lps(Volume(read_pixels(series.slices, series.case), *_geometry(series)))
    layouts = {(header.pixels.slope, header.pixels.intercept) for header in series.slices}
    whole = all(float(number).is_integer() for layout in layouts for number in layout)
    return whole_numbers(volume) if whole and volume.array.dtype.kind == "f" else volume


def read_folder(folder: Path) -> Volume:
    """The volume of the one series whose files lie in a folder, as find_series and read_series give it."""
    return read_series(find_series(folder))


def find_series(folder: Path) -> Series:
    """The one series whose files lie in a folder.

    Raises InputError when there is none or more than one, or when it cannot be used.
    """
    name = folder.resolve().name  # stands for the case in messages
    groups = scan_series(folder, name)
    if not groups:
        raise InputError(
            "the folder holds no DICOM MR slices",
            file=folder,
            found=f"{len(list(folder.iterdir()))} other files or folders",
            expected="the files of one series",
            hint="give the folder in which these lie",
        )
    if len(groups) > 1:
        names = [f"{group[0].description!r} (number {group[0].number}, {len(group)} files)" for group in groups]
        raise InputError(
            "the folder holds more than one DICOM series",
            file=folder,
            found=", ".join(names),
            expected="one",
            hint="put the pre-contrast series into a folder of its own",
        )
    return order_slices(groups[0], name)


def _candidates(folder: Path) -> list[Path]:
    """Files that may be DICOM, by their names, sorted. Broken links and the like count where they are called `.dcm`."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.name.upper() != INDEX and _may_be_dicom(entry)
        )
    return [folder / name for name in names]


def _may_be_dicom(entry: os.DirEntry) -> bool:
    if entry.name.lower().endswith(SUFFIX):
        return not os.path.isdir(entry) if entry.is_symlink() else not entry.is_dir()
    return os.path.isfile(entry) if entry.is_symlink() else entry.is_file()  # the former bear links to themselves


def _phases(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """The slices of one SeriesInstanceUID by temporal position, where several lie at one place; else all together."""
    if len({header.position for header in group}) == len(group):
        return [group]
    phases: dict[int | None, list[SliceHeader]] = {}
    for header in group:
        phases.setdefault(header.temporal, []).append(header)
    return list(phases.values())


def _geometry(series: Series) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Spacing, origin and direction of the stack of slices as it is stored."""
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
                shown = name not in ("patient", "study", "frame")  # these name a person to who holds the record
                raise InputError(
                    f"the slices of one series differ in their {name}",
                    case=case,
                    file=header.file,
                    found=here if shown else "another one",
                    expected=f"{there if shown else 'that'}, as in {first.file.name}",
                    hint="remove the odd slice, or fetch the series again",
                )


def _step(ordered: Sequence[SliceHeader], normal: np.ndarray, case: str) -> float:
    """The distance between neighbouring slices in mm, the same for all."""
    moves = np.diff([header.position for header in ordered], axis=0)
    steps = moves @ normal
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # of two in the middle the smaller: a gap makes no step usual
    if usual > STEPS[1] or 0 < usual < STEPS[0]:
        raise InputError(
            "the distance of the slices cannot be that of an MR image",
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
                "two slices lie at one position: a duplicated slice",
                case=case,
                file=after.file,
                found=f"the position of {before.file.name}",
                expected=f"a step of {usual:.3f} mm",
                hint="remove one of the two",
            )
        if step > (2 - STEP_TOLERANCE) * usual:
            raise InputError(
                f"a slice is missing after {before.file.name}",
                case=case,
                file=after.file,
                found=f"a step of {step:.3f} mm",
                expected=f"{usual:.3f} mm",
                hint="fetch the series again, or leave the case out",
            )
        if abs(step - usual) > STEP_TOLERANCE * usual or np.linalg.norm(move - step * normal) > STEP_TOLERANCE * usual:
            raise InputError(
                "the slices are not evenly stacked",
                case=case,
                file=after.file,
                found=f"a move of {np.round(move, 3).tolist()} mm from {before.file.name}",
                expected=f"{usual:.3f} mm along the normal",
                hint="leave the case out",
            )
    return float(steps.mean())
