"""DICOM series: slices in order of their position, checked, and read into a volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.dicom_header import SliceHeader, read_header
from imaging.volume import Volume, last_line, to_lps
from pipeline.errors import InputError

STEP_TOLERANCE = 0.01  # of the slice distance: headers round to micrometres, a missing slice doubles the step
AGREEMENT = 1e-4  # of spacing (mm) and direction cosines between the slices of a series: headers round to 5 or 6 digits


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
    def moment(self) -> tuple[float, float, float, int]:
        """What orders the series of an examination: acquisition, content and trigger time, then the series number.

        Missing times sort first; multi-phase series share the first two and differ in the trigger time.
        """
        times = [[getattr(one, name) for one in self.slices] for name in ("acquired", "stored", "trigger")]
        acquired, stored, trigger = (-1.0 if None in values else min(values) for values in times)
        return (acquired if acquired >= 0 else stored, trigger, stored, self.head.number)


def scan_series(folder: Path, case: str) -> list[list[SliceHeader]]:
    """Headers of every `.dcm` file in a folder, one list a SeriesInstanceUID. Raises InputError on an unusable file."""
    groups: dict[str, list[SliceHeader]] = {}
    for file in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".dcm"):
        header = read_header(file, case)
        groups.setdefault(header.series, []).append(header)
    return list(groups.values())


def order_slices(headers: Sequence[SliceHeader], case: str) -> Series:
    """Puts the slices of one series in order along their normal.

    Raises InputError when they disagree in orientation, size, spacing or frame of reference, when one is missing or is
    there twice, or when their distances differ for another reason.
    """
    _check_agreement(headers, case)
    row, column = np.reshape(headers[0].orientation, (2, 3))
    normal = np.cross(row, column)
    if abs(np.linalg.norm(normal) - 1) > AGREEMENT or abs(row @ column) > AGREEMENT:
        raise InputError("rows and columns of the slices are not perpendicular", case=case, file=headers[0].file,
                         found=headers[0].orientation, expected="two perpendicular unit vectors")
    ordered = sorted(headers, key=lambda header: float(np.dot(header.position, normal)))
    if len(ordered) < 2:
        raise InputError("a single slice is not a volume", case=case, file=ordered[0].file, found="1 slice",
                         expected="at least 2", todo="fetch the series again")
    return Series(case, tuple(ordered), _step(ordered, normal, case))


def read_series(series: Series) -> Volume:
    """Pixels of a series as float32 in scanner units (rescale slope and intercept applied), turned to LPS.

    Raises InputError naming the file whose pixels cannot be decoded.
    """
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(header.file) for header in series.slices])
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        raise _undecodable(series) from None
    head = series.head
    row, column = np.reshape(head.orientation, (2, 3))
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    return to_lps(Volume(array, (*head.spacing, series.step), head.position, tuple(axes.ravel().tolist())))


def read_folder(folder: Path) -> Volume:
    """The volume of the one series whose `.dcm` files lie in a folder, as read_series gives it.

    Raises InputError when there is no series or more than one, or when it cannot be used.
    """
    name = folder.resolve().name  # stands for the case in messages
    groups = scan_series(folder, name)
    if not groups:
        raise InputError("the folder holds no DICOM slices", file=folder,
                         found=f"{len(list(folder.iterdir()))} other files or folders",
                         expected="the .dcm files of one series", todo="give the folder in which these lie")
    if len(groups) > 1:
        names = [f"{group[0].description!r} (number {group[0].number}, {len(group)} files)" for group in groups]
        raise InputError("the folder holds more than one DICOM series", file=folder, found=", ".join(names),
                         expected="one", todo="put the pre-contrast series into a folder of its own")
    return read_series(order_slices(groups[0], name))


def _check_agreement(headers: Sequence[SliceHeader], case: str) -> None:
    first = headers[0]
    for header in headers[1:]:
        for name in ("patient", "study", "frame", "size", "spacing", "orientation"):
            here, there = getattr(header, name), getattr(first, name)
            numbers = name in ("spacing", "orientation")
            if not (np.allclose(here, there, rtol=0, atol=AGREEMENT) if numbers else here == there):
                raise InputError(f"the slices of one series differ in their {name}", case=case, file=header.file,
                                 found=here, expected=f"{there}, as in {first.file.name}",
                                 todo="remove the odd slice, or fetch the series again")


def _step(ordered: Sequence[SliceHeader], normal: np.ndarray, case: str) -> float:
    """The distance between neighbouring slices in mm, the same for all."""
    moves = np.diff([header.position for header in ordered], axis=0)
    steps = moves @ normal
    usual = float(np.median(steps))
    for number, (move, step) in enumerate(zip(moves, steps, strict=True)):
        before, after = ordered[number], ordered[number + 1]
        if abs(step) <= STEP_TOLERANCE * max(usual, STEP_TOLERANCE):
            raise InputError("two slices lie at one position: a duplicated slice", case=case, file=after.file,
                             found=f"the position of {before.file.name}", expected=f"a step of {usual:.3f} mm",
                             todo="remove one of the two")
        if step > (2 - STEP_TOLERANCE) * usual:
            raise InputError(f"a slice is missing after {before.file.name}", case=case, file=after.file,
                             found=f"a step of {step:.3f} mm", expected=f"{usual:.3f} mm",
                             todo="fetch the series again, or leave the case out")
        if abs(step - usual) > STEP_TOLERANCE * usual or np.linalg.norm(move - step * normal) > STEP_TOLERANCE * usual:
            raise InputError("the slices are not evenly stacked", case=case, file=after.file,
                             found=f"a move of {np.round(move, 3).tolist()} mm from {before.file.name}",
                             expected=f"{usual:.3f} mm along the normal", todo="leave the case out")
    return float(steps.mean())


def _undecodable(series: Series) -> InputError:
    """The error that names the first file of a series which cannot be decoded by itself."""
    import SimpleITK as sitk

    for header in series.slices:
        try:
            sitk.ReadImage(str(header.file), sitk.sitkFloat32)
        except RuntimeError as error:
            found = last_line(error)
            return InputError("the pixels cannot be decoded", case=series.case, file=header.file, found=found,
                              expected=f"{header.size[0]} x {header.size[1]} pixels", todo="fetch the file again")
    return InputError("the slices cannot be read together", case=series.case, file=series.folder,
                      todo="fetch the series again")
