"""The table of cases and the folders beside it."""

import shutil

import pydicom
import pytest

from cohort.duke import read_cohort, read_examination, same_image, shared_patients, unlisted
from imaging.dicom import order_slices


def test_the_table_is_read(tmp_path, dicom):
    dicom.save_cohort(tmp_path)
    entries = read_cohort(tmp_path)
    assert [(entry.case, entry.site) for entry in entries] == [("P1", "A"), ("P2", "A"), ("P3", "A")]
    assert entries[0].mask == tmp_path / "segmentations/P1.nii" and entries[1].mask is None
    assert [group[0].description for group in read_examination(entries[0])] == [
        "ax dyn pre", "ax dyn 1st pass", "ax dyn 2nd pass"]
    assert shared_patients(entries) == {} and unlisted(tmp_path, entries) == []


def test_a_folder_that_is_not_listed_is_told(tmp_path, dicom):
    dicom.save_cohort(tmp_path)
    dicom.save_case(tmp_path, "P9")
    assert unlisted(tmp_path, read_cohort(tmp_path)) == ["P9"]


@pytest.mark.parametrize("make, words", [
    (lambda root: None, ("no cohort", "nothing")), (lambda root: root.write_text("x"), ("no cohort", "a file")),
    (lambda root: root.mkdir(), ("empty", "make_phantom")),
    (lambda root: (root / "holiday").mkdir(parents=True), ("not a cohort", "holiday")),
    (lambda root: [root.mkdir(), (root / "cases.csv").write_text("case,site,mask\n")], ("not a cohort", "cases.csv"))])
def test_what_is_no_cohort_is_refused(tmp_path, make, words, refused):
    make(tmp_path / "data")
    refused(lambda: read_cohort(tmp_path / "data"), str(tmp_path / "data"), "found", "expected", "what to do", *words)


@pytest.mark.parametrize("table, words", [
    ("case,site,mask\n", ("no line",)), ("case,mask\nP1,\n", ("no column site",)), ("", ("no line",)),
    ("case,site,mask\n,A,\n", ("no usable id", "line 2")), ("case,site,mask\nP1,,\n", ("no usable id",)),
    ("case,site,mask\n../P1,A,\n", ("no usable id",)), ("case,site,mask\nP1\n", ("no usable id",)),
    ("case,site,mask\nP1,A,\nP1,B,\n", ("two patients have one id", "case P1")),
    ("case,site,mask\nP1,A,\np1,A,\n", ("two patients have one id", "P1 and p1"))])
def test_a_bad_table_is_refused(tmp_path, dicom, table, words, refused):
    dicom.save_cohort(tmp_path, 1)
    (tmp_path / "cases.csv").write_text(table)
    refused(lambda: read_cohort(tmp_path), "cases.csv", *words)


def test_one_patient_in_two_folders_is_refused(tmp_path, dicom):
    dicom.save_cohort(tmp_path)
    shutil.rmtree(tmp_path / "Duke-Breast-Cancer-MRI" / "P3")
    dicom.save_case(tmp_path, "P3", patient="P1")
    errors = shared_patients(read_cohort(tmp_path))
    assert sorted(errors) == ["P1", "P3"]
    assert "two patients have one id" in str(errors["P1"]) and "P3" in str(errors["P1"])


def test_a_case_without_files_is_refused(tmp_path, dicom, refused):
    dicom.save_cohort(tmp_path)
    shutil.rmtree(tmp_path / "Duke-Breast-Cancer-MRI" / "P2")
    entry = read_cohort(tmp_path)[1]
    refused(lambda: read_examination(entry), "case P2", "no DICOM files", "no such folder", "what to do")
    entry.folder.mkdir()
    refused(lambda: read_examination(entry), "case P2", "no DICOM files", "no file")


@pytest.mark.parametrize("tag, words", [
    ("PatientID", "several patients"), ("StudyInstanceUID", "several examinations")])
def test_two_in_one_folder_are_refused(tmp_path, dicom, tag, words, refused):
    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    for file in sorted(study.iterdir())[1].iterdir():
        data = pydicom.dcmread(file)
        setattr(data, tag, "1.2.3")
        data.save_as(file)
    refused(lambda: read_examination(read_cohort(tmp_path)[0]), "case P1", words, "1.2.3")


def test_copies_are_known_whatever_the_order_of_their_slices(tmp_path, dicom):
    array = dicom.body_array(0)
    dicom.save_series(tmp_path / "data/Duke-Breast-Cancer-MRI/P1/s/a", array, number=1)
    dicom.save_series(tmp_path / "data/Duke-Breast-Cancer-MRI/P1/s/b", array, number=2, descending=True)
    dicom.save_series(tmp_path / "data/Duke-Breast-Cancer-MRI/P1/s/c", array + 1, number=3)
    dicom.save_table(tmp_path / "data", [("P1", "A", "")])
    one, copy, other = (order_slices(group, "P1") for group in read_examination(read_cohort(tmp_path / "data")[0]))
    assert same_image(one, copy) and not same_image(one, other)
