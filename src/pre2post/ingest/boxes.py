"""The archive's bounding boxes of the tumours: an optional table of patients with and without a mask.

Rows and columns refer to the stored pre-contrast images; slices follow InstanceNumber. All count from 1, and the box
includes its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.spreadsheet import read_sheet
from pre2post.dicom.series import Series
from pre2post.dicom.stored_order import slice_numbers, volume_box
from pre2post.image.masks import Box, window
from pre2post.image.volume import Volume
from pre2post.ingest.duke_tables import PATIENT, find_table

TABLE = "Annotation_Boxes"
AXES = ("Slice", "Row", "Column")
COLUMNS = (PATIENT, *(f"{end} {axis}" for axis in ("Row", "Column", "Slice") for end in ("Start", "End")))


@dataclass(frozen=True)
class Annotation:
    """One line of the table `file`, unchecked: only the images show whether it is a valid box."""

    file: Path
    values: Mapping[str, str]


def read_annotations(folder: Path) -> dict[str, Annotation]:
    """Read the line of each patient, by id; return nothing if the folder has no such table.

    Raises InputError if a column is missing or a patient is listed twice.
    """
    file = find_table([folder], TABLE)
    if file is None:
        return {}
    rows = read_sheet(file)
    _check_columns(rows, file)
    annotations: dict[str, Annotation] = {}
    for number, row in enumerate(rows, start=2):
        values = {column: row[column] for column in COLUMNS}
        patient = values[PATIENT]
        if patient in annotations or not patient:
            raise InputError(
                "a patient has two boxes" if patient else "a box has no patient",
                file=file,
                case=patient or None,
                found=f"line {number}",
                expected="one line per patient",
                hint="correct the table",
            )
        annotations[patient] = Annotation(file, values)
    return annotations


def to_voxels(annotation: Annotation, series: Series, pre: Volume) -> Box:
    """Convert an annotation to voxels of `pre`, which is the pre-contrast `series` in LPS orientation.

    Raises InputError if a value is not an integer, an end is before its start, or the box is outside the images.
    """
    slices, rows, columns = (_limits(annotation, axis, series.case) for axis in AXES)
    size = dict(zip(AXES, (len(series.slices), *series.head.size[::-1]), strict=True))
    for axis, limits in zip(AXES, (slices, rows, columns), strict=True):
        _check_inside(annotation, axis, limits, size[axis], series.case)
    inside = [place for place, number in enumerate(slice_numbers(series)) if slices[0] <= number <= slices[1]]
    if inside[-1] - inside[0] >= len(inside):
        raise InputError(
            "the slices of the box are not adjacent",
            case=series.case,
            file=series.folder,
            found="InstanceNumbers that do not follow the slice positions",
            expected="InstanceNumbers that rise or fall with the position",
            hint="download the series again, or remove the patient from the table of boxes",
        )
    return volume_box(series, pre, (inside[0], rows[0] - 1, columns[0] - 1), (inside[-1], rows[1] - 1, columns[1] - 1))


def relative_enhancement(box: Box, pre: np.ndarray, post: np.ndarray) -> float | None:
    """Return the mean enhancement (post - pre) of a box minus that of the body outside, relative to pre in the body.

    The body consists of the voxels above the mean of `pre`. Return None if the box contains all of it. At 0 and below
    the box cannot contain a visible tumour; usually its slices were counted in another order.
    """
    enhancement = post.astype(np.float32) - pre
    body = pre > pre.mean()
    outside = body.copy()
    outside[window(box)] = False
    if not outside.any():
        return None
    return float((enhancement[window(box)].mean() - enhancement[outside].mean()) / np.abs(pre[body].mean()))


def _check_columns(rows: list[dict[str, str]], file: Path) -> None:
    absent = [column for column in COLUMNS if rows and column not in rows[0]]
    if absent or not rows:
        raise InputError(
            "this is not a table of boxes",
            file=file,
            expected=", ".join(COLUMNS),
            found=f"no column {absent[0]}" if absent else "no line",
            hint="correct or remove the table",
        )


def _limits(annotation: Annotation, axis: str, case: str) -> tuple[int, int]:
    """Return the first and last row, column or slice, from 1; accept 12.0, as spreadsheets write integers."""
    texts = [annotation.values[f"{end} {axis}"] for end in ("Start", "End")]
    try:
        numbers = [float(text) for text in texts]
        if not all(number.is_integer() for number in numbers):
            raise ValueError
    except ValueError:
        raise InputError(
            "a limit of the box is not an integer",
            case=case,
            file=annotation.file,
            expected="an integer",
            found=" and ".join(repr(text) for text in texts) + f" as Start and End {axis}",
            hint="correct or remove the line",
        ) from None
    return int(numbers[0]), int(numbers[1])


def _check_inside(annotation: Annotation, axis: str, limits: tuple[int, int], size: int, case: str) -> None:
    first, last = limits
    if first > last:
        problem, expected = "the box ends before it starts", "a start up to the end"
    elif first < 1 or last > size:
        problem, expected = "the box is outside the pre-contrast images", f"{axis} 1 to {size}"
    else:
        return
    raise InputError(
        problem,
        case=case,
        file=annotation.file,
        found=f"{axis} {first} to {last}",
        expected=expected,
        hint="correct or remove the line",
    )
