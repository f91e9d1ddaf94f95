"""Bounding boxes of the tumours, annotated as in the archive: one table of all patients, with and without a mask.

Rows and columns refer to the stored images; slices follow InstanceNumber, not the position. All count from 1, and the
box includes its end.
"""

from pathlib import Path

import numpy as np

from pre2post.core.files import read_json, write_json, write_table
from pre2post.phantom.dicom import Frame, instances, stored
from pre2post.phantom.roster import WORK, PhantomCase

BOXES = "Annotation_Boxes.csv"


def annotation_box(tumour: np.ndarray, frame: Frame) -> dict[str, int]:
    """Return the first and last row, column and slice of a non-empty bool mask (z, y, x)."""
    shown = stored(tumour, frame)
    numbers = np.array(instances(len(shown), frame))
    found = {
        "Row": 1 + np.flatnonzero(shown.any(axis=(0, 2))),
        "Column": 1 + np.flatnonzero(shown.any(axis=(0, 1))),
        "Slice": numbers[shown.any(axis=(1, 2))],
    }
    return {
        f"{name} {axis}": int(end)
        for axis, places in found.items()
        for name, end in (("Start", places.min()), ("End", places.max()))
    }


def save_box(folder: Path, case: PhantomCase, box: dict[str, int]) -> None:
    """Save the box of one case for `write_boxes`; several processes write the cases, in any order."""
    write_json(_box_file(folder, case), box)


def write_boxes(folder: Path, roster: list[PhantomCase]) -> None:
    """Write the table from the saved boxes, unless an earlier, killed run has written it already."""
    if not (folder / BOXES).is_file():
        write_table(folder / BOXES, [{"Patient ID": case.id, **read_json(_box_file(folder, case))} for case in roster])


def _box_file(folder: Path, case: PhantomCase) -> Path:
    return folder / WORK / f"{case.id}.json"
