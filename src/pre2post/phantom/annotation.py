"""The box around a patient's tumour as the archive annotates it, in a table of all patients, masked or not.

Rows and columns are those of the stored images; slices follow InstanceNumber, not the position; all count from 1, and
the end belongs to the box.
"""

from pathlib import Path

import numpy as np

from pre2post.core.files import read_json, write_json, write_table
from pre2post.phantom.dicom import Frame, instances, stored
from pre2post.phantom.roster import WORK, CaseSource

BOXES = "Annotation_Boxes.csv"


def annotation_box(tumour: np.ndarray, frame: Frame) -> dict[str, int]:
    """First and last row, column and slice of a bool mask (z, y, x) that is not empty."""
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


def keep_box(folder: Path, entry: CaseSource, box: dict[str, int]) -> None:
    """Keeps a patient's box until those of all are there: cases are written in any order, by several processes."""
    write_json(_kept(folder, entry), box)


def write_boxes(folder: Path, roster: list[CaseSource]) -> None:
    """Writes the table from the boxes that were kept, unless a run that was killed later than here wrote it."""
    if not (folder / BOXES).is_file():
        write_table(folder / BOXES, [{"Patient ID": entry.id, **read_json(_kept(folder, entry))} for entry in roster])


def _kept(folder: Path, entry: CaseSource) -> Path:
    return folder / WORK / f"{entry.id}.json"
