"""The table of boxes: valid boxes become voxels, invalid ones are refused with a message."""

import numpy as np
import pytest

from pre2post.image.masks import bounding_box
from pre2post.ingest.boxes import COLUMNS, read_annotations, relative_enhancement, to_voxels
from pre2post.ingest.ingest_case import ingest_case
from pre2post.ingest.study import open_study
from pre2post.io.volume_file import read_volume

TABLE = "Annotation_Boxes.csv"
LINE = "P1,9,9,10,11,3,3"  # surrounds the mask that save_cohort writes
HEADER = ",".join(COLUMNS)


def write(root, *lines, header=HEADER):
    (root / TABLE).write_text("\n".join([header, *lines]) + "\n")


def test_the_columns_are_those_of_the_archive():
    assert ", ".join(COLUMNS) == "Patient ID, Start Row, End Row, Start Column, End Column, Start Slice, End Slice"


@pytest.mark.parametrize("line", [LINE, "P1,9.0,9.0,10.0,11.0,3.0,3.0", " P1 , 9, 9 ,10,11,3,3"])
def test_a_box_becomes_voxels(tmp_path, dicom, line, sources_of, ingest_settings):
    dicom.save_cohort(tmp_path)
    write(tmp_path, line)
    first, second, _ = sources_of(tmp_path)
    case = ingest_case(first, tmp_path / "out", ingest_settings()).case
    assert case.box == bounding_box(read_volume(case.path("mask")).array) == (2, 3, 8, 9, 9, 11)
    assert second.box is None and ingest_case(second, tmp_path / "out", ingest_settings()).case.box is None


def test_a_box_may_cover_the_complete_image(tmp_path, dicom, sources_of, ingest_settings):
    dicom.save_cohort(tmp_path, 1)
    write(tmp_path, "P1,1,16,1,20,1,6")
    assert ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings()).case.box == (0, 6, 0, 16, 0, 20)


def test_without_a_table_there_are_no_boxes(tmp_path):
    assert read_annotations(tmp_path) == {}


@pytest.mark.parametrize(
    "lines, words",
    [
        ([LINE, LINE], ("case P1", "two boxes", "line 3")),
        ([",9,9,10,11,3,3"], ("has no patient", "line 2")),
        ([], ("not a table of boxes", "no line")),
    ],
)
def test_a_bad_table_is_refused(tmp_path, dicom, refused, lines, words, sources_of):
    dicom.save_cohort(tmp_path)
    write(tmp_path, *lines)
    refused(lambda: sources_of(tmp_path), TABLE, "found", "expected", "what to do", *words)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_refused(tmp_path, dicom, refused, column, sources_of):
    dicom.save_cohort(tmp_path)
    write(tmp_path, LINE, header=HEADER.replace(column, "Other"))
    refused(lambda: sources_of(tmp_path), TABLE, f"no column {column}", "expected: Patient ID, Start Row")


@pytest.mark.parametrize(
    "line, words",
    [
        ("P1,9,17,10,11,3,3", ("outside", "Row 9 to 17", "Row 1 to 16")),
        ("P1,0,9,10,11,3,3", ("outside", "Row 0 to 9")),
        ("P1,9,9,10,21,3,3", ("outside", "Column 10 to 21", "Column 1 to 20")),
        ("P1,9,9,10,11,7,8", ("outside", "Slice")),
        ("P1,9,8,10,11,3,3", ("ends before it starts", "Row 9 to 8")),
        ("P1,9,9,10,11,4,3", ("ends before", "Slice 4 to 3")),
        ("P1,nine,9,10,11,3,3", ("not an integer", "'nine'", "Start and End Row")),
        ("P1,9,9,10,,3,3", ("''", "Column")),
        ("P1,9,9,10,11,2.5,3", ("'2.5'", "Slice")),
        ("P1,9,9,10,11,nan,3", ("'nan'",)),
        ("P1,9,9,10,11,3,inf", ("'inf'",)),
        ("P1,9,9", ("not an integer", "'' and ''")),
    ],
)
def test_a_bad_box_is_an_error_of_its_case_alone(tmp_path, dicom, line, words, sources_of, ingest_settings):
    dicom.save_cohort(tmp_path)
    write(tmp_path, line)
    first, second, _ = sources_of(tmp_path)
    result = ingest_case(first, tmp_path / "out", ingest_settings())
    message = str(result.error)
    absent = [word for word in ("case P1", TABLE, "found", "expected", "what to do", *words) if word not in message]
    assert not absent, f"{absent} not in {message!r}"
    assert result.case is None and result.row["status"] == "skipped"
    assert ingest_case(second, tmp_path / "out", ingest_settings()).error is None


def test_a_box_in_shuffled_slices_is_refused(tmp_path, dicom, sources_of, refused):
    import pydicom

    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    for file in sorted((study / "1.000000-ax dyn pre").iterdir()):
        data = pydicom.dcmread(file)
        data.InstanceNumber = (None, 1, 4, 2, 5, 3, 6)[int(data.InstanceNumber)]
        data.save_as(file)
    write(tmp_path, "P1,1,2,1,2,1,5")
    series, pre = read_pre(sources_of(tmp_path)[0])
    assert to_voxels(sources_of(tmp_path)[0].box, series, pre) == (0, 5, 0, 2, 0, 2)
    write(tmp_path, "P1,1,2,1,2,1,2")
    refused(lambda: to_voxels(sources_of(tmp_path)[0].box, series, pre), "are not adjacent")


def read_pre(source):
    study = open_study(source)
    return study.pre_series, study.phases["pre"].read()


def test_a_box_without_enhancement_is_noted_and_not_used(tmp_path, dicom, sources_of, ingest_settings):
    dicom.save_cohort(tmp_path, 1)
    write(tmp_path, "P1,12,13,3,4,5,5")
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert result.case.box is None and "box does not enhance" in result.row["notes"]
    assert float(result.row["box_enhancement"]) <= 0 and result.row["status"] == "used"


def test_enhancement_is_relative_to_the_body_outside_the_box():
    pre = np.zeros((4, 4, 4), np.int16)
    pre[1:] = 100
    post = pre.copy()
    post[1:] += 10
    post[1, 1, 1] += 50
    assert relative_enhancement((1, 2, 1, 2, 1, 2), pre, post) == pytest.approx(0.5)
    assert relative_enhancement((0, 1, 0, 1, 0, 1), pre, post) < 0
    assert relative_enhancement((0, 4, 0, 4, 0, 4), pre, post) is None
