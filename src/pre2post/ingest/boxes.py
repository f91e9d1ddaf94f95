"""The archive's bounding box of each patient's tumour: a table beside the images, of patients with and without a mask.

Rows and columns are those of the stored pre-contrast images, slices follow InstanceNumber; all count from 1, and the
end belongs to the box.
"""

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
    """One line of the table `file` as it stands there: whether it is a box is known once the images are."""

    file: Path
    values: dict[str, str]


def read_annotations(folder: Path) -> dict[str, Annotation]:
    """The line of each patient, by id; none at all where the folder has no such table.

    Raises InputError when a column is missing or a patient is listed twice.
    """
    file = find_table([folder], TABLE)
    if file is None:
        return {}
    rows = read_sheet(file)
    _check_columns(rows, file)
    found: dict[str, Annotation] = {}
    for number, row in enumerate(rows, start=2):
        values = {column: row[column] for column in COLUMNS}
        patient = values[PATIENT]
        if patient in found or not patient:
            raise InputError(
                "a patient has two boxes" if patient else "a box belongs to no patient",
                file=file,
                case=patient or None,
                found=f"line {number}",
                expected="one line a patient",
                hint="correct the table",
            )
        found[patient] = Annotation(file, values)
    return found


def to_voxels(annotation: Annotation, series: Series, pre: Volume) -> Box:
    """The box in the voxels of `pre`, the pre-contrast `series` turned to LPS.

    Raises InputError when the line holds no whole numbers, an end before its start, or a box outside the images.
    """
    slices, rows, columns = (_limits(annotation, axis, series.case) for axis in AXES)
    size = dict(zip(AXES, (len(series.slices), *series.head.size[::-1]), strict=True))
    for axis, limits in zip(AXES, (slices, rows, columns), strict=True):
        _check_inside(annotation, axis, limits, size[axis], series.case)
    places = [place for place, number in enumerate(slice_numbers(series)) if slices[0] <= number <= slices[1]]
    if places[-1] - places[0] >= len(places):
        raise InputError(
            "the slices of the box do not lie side by side",
            case=series.case,
            file=series.folder,
            found="InstanceNumbers that follow no direction",
            expected="numbers that rise or fall with the position",
            hint="fetch the series again, or take the patient out of the table of boxes",
        )
    return volume_box(series, pre, (places[0], rows[0] - 1, columns[0] - 1), (places[-1], rows[1] - 1, columns[1] - 1))


def enhancement_inside(box: Box, pre: np.ndarray, post: np.ndarray) -> float | None:
    """How much more a box enhances than the body around it: means of post - pre, in units of the body's mean of pre.

    The body is whatever is brighter before contrast than the mean of the volume; None where none of it is outside. At 0
    and below there is nothing in the box that a reader could have meant: most often its slices were counted in another
    order.
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
            hint="correct the table, or take it away",
        )


def _limits(annotation: Annotation, axis: str, case: str) -> tuple[int, int]:
    """First and last row, column or slice, from 1. A spreadsheet may write a whole number as 12.0."""
    texts = [annotation.values[f"{end} {axis}"] for end in ("Start", "End")]
    try:
        numbers = [float(text) for text in texts]
        if not all(number.is_integer() for number in numbers):
            raise ValueError
    except ValueError:
        raise InputError(
            "the box is not in whole numbers",
            case=case,
            file=annotation.file,
            expected="a whole number",
            found=" and ".join(repr(text) for text in texts) + f" as Start and End {axis}",
            hint="correct the line, or remove it",
        ) from None
    return int(numbers[0]), int(numbers[1])


def _check_inside(annotation: Annotation, axis: str, limits: tuple[int, int], size: int, case: str) -> None:
    first, last = limits
    if first > last:
        problem, expected = "the box ends before it starts", "a start that is not above the end"
    elif first < 1 or last > size:
        problem, expected = "the box lies outside the pre-contrast images", f"{axis} 1 to {size}"
    else:
        return
    raise InputError(
        problem,
        case=case,
        file=annotation.file,
        found=f"{axis} {first} to {last}",
        expected=expected,
        hint="correct the line, or remove it",
    )
