"""The table of boxes: what it may hold, and what is told of everything else."""

import pytest

from cohort.boxes import COLUMNS, TABLE, read_annotations
from cohort.duke import read_cohort
from cohort.intake import take_in
from imaging.masks import bounding_box
from imaging.volume import read_volume
from pipeline.params import Ingest

SETTINGS = Ingest(cohort="data", bad_cases="stop", n4_bias_correction=False, smallest_lesion_ml=0.05,
                  low_percentile=0.1, high_percentile=99.9, ceiling=3.0)
LINE = "P1,9,9,10,11,3,3"  # the mask of the cohort of these tests
HEADER = ",".join(COLUMNS)


def write(root, *lines, header=HEADER):
    (root / TABLE).write_text("\n".join([header, *lines]) + "\n")


def test_the_columns_are_those_of_the_archive():
    assert ", ".join(COLUMNS) == "Patient ID, Start Row, End Row, Start Column, End Column, Start Slice, End Slice"


@pytest.mark.parametrize("line", [LINE, "P1,9.0,9.0,10.0,11.0,3.0,3.0", " P1 , 9, 9 ,10,11,3,3"])
def test_a_box_becomes_voxels(tmp_path, dicom, line):
    dicom.save_cohort(tmp_path)
    write(tmp_path, line)
    first, second, _ = read_cohort(tmp_path)
    case = take_in(first, tmp_path / "out", SETTINGS).case
    assert case.box == bounding_box(read_volume(case.path("mask")).array) == (2, 3, 8, 9, 9, 11)
    assert second.box is None and take_in(second, tmp_path / "out", SETTINGS).case.box is None


def test_the_whole_image_is_a_box(tmp_path, dicom):
    dicom.save_cohort(tmp_path, 1)
    write(tmp_path, "P1,1,16,1,20,1,6")
    assert take_in(read_cohort(tmp_path)[0], tmp_path / "out", SETTINGS).case.box == (0, 6, 0, 16, 0, 20)


def test_no_table_means_no_boxes(tmp_path):
    assert read_annotations(tmp_path, {"P1"}) == {}


@pytest.mark.parametrize("lines, words", [
    ([LINE, LINE], ("case P1", "two boxes", "line 3")), (["P7,9,9,10,11,3,3"], ("case P7", "no patient", "line 2")),
    ([",9,9,10,11,3,3"], ("no patient", "no id in line 2")), ([], ("not a table of boxes", "no line"))])
def test_a_bad_table_is_refused(tmp_path, dicom, refused, lines, words):
    dicom.save_cohort(tmp_path)
    write(tmp_path, *lines)
    refused(lambda: read_cohort(tmp_path), TABLE, "found", "expected", "what to do", *words)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_refused(tmp_path, dicom, refused, column):
    dicom.save_cohort(tmp_path)
    write(tmp_path, LINE, header=HEADER.replace(column, "Other"))
    refused(lambda: read_cohort(tmp_path), TABLE, f"no column {column}", "expected: Patient ID, Start Row")


@pytest.mark.parametrize("line, words", [
    ("P1,9,17,10,11,3,3", ("outside", "Row 9 to 17", "Row 1 to 16")), ("P1,0,9,10,11,3,3", ("outside", "Row 0 to 9")),
    ("P1,9,9,10,21,3,3", ("outside", "Column 10 to 21", "Column 1 to 20")), ("P1,9,9,10,11,7,8", ("outside", "Slice")),
    ("P1,9,8,10,11,3,3", ("ends before it starts", "Row 9 to 8")),
    ("P1,9,9,10,11,4,3", ("ends before", "Slice 4 to 3")),
    ("P1,nine,9,10,11,3,3", ("whole numbers", "'nine'", "Start and End Row")), ("P1,9,9,10,,3,3", ("''", "Column")),
    ("P1,9,9,10,11,2.5,3", ("'2.5'", "Slice")), ("P1,9,9,10,11,nan,3", ("'nan'",)), ("P1,9,9,10,11,3,inf", ("'inf'",)),
    ("P1,9,9", ("whole numbers", "'' and ''"))])
def test_a_bad_box_is_told_of_its_case(tmp_path, dicom, line, words):
    dicom.save_cohort(tmp_path)
    write(tmp_path, line)
    first, second, _ = read_cohort(tmp_path)
    taken = take_in(first, tmp_path / "out", SETTINGS)
    message = str(taken.error)
    absent = [word for word in ("case P1", TABLE, "found", "expected", "what to do", *words) if word not in message]
    assert not absent, f"{absent} not in {message!r}"
    assert taken.case is None and taken.row["status"] == "left out"
    assert take_in(second, tmp_path / "out", SETTINGS).error is None


def test_slices_numbered_in_no_direction_are_told(tmp_path, dicom):
    import pydicom

    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    for file in sorted((study / "1.000000-ax dyn pre").iterdir()):
        data = pydicom.dcmread(file)
        data.InstanceNumber = (None, 1, 4, 2, 5, 3, 6)[int(data.InstanceNumber)]
        data.save_as(file)
    write(tmp_path, "P1,1,2,1,2,1,5")
    assert take_in(read_cohort(tmp_path)[0], tmp_path / "out", SETTINGS).case.box == (0, 5, 0, 2, 0, 2)
    write(tmp_path, "P1,1,2,1,2,1,2")
    assert "do not lie side by side" in str(take_in(read_cohort(tmp_path)[0], tmp_path / "out", SETTINGS).error)
