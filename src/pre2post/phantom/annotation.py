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
TRUTH = "phantom_truth.csv"  # what each patient has; ingestion does not read it


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


def save_rows(folder: Path, case: PhantomCase, box: dict[str, int], facts: dict[str, str | int | float]) -> None:
    """Save the rows of one case for `write_tables`; several processes write the cases, in any order."""
    write_json(_rows_file(folder, case), {"box": {"Patient ID": case.id, **box}, "facts": facts})


def write_tables(folder: Path, roster: list[PhantomCase]) -> None:
    """Write the tables from the saved rows, unless an earlier, killed run has written them already."""
    for table, name in ((TRUTH, "facts"), (BOXES, "box")):
        if not (folder / table).is_file():
            write_table(folder / table, [read_json(_rows_file(folder, case))[name] for case in roster])


def _rows_file(folder: Path, case: PhantomCase) -> Path:
    return folder / WORK / f"{case.id}.json"
