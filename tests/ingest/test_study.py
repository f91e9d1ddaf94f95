"""An examination before its voxels are read: its phases, its patient and the values of its headers."""

import shutil

import pydicom
import pytest

from pre2post.dicom.series import order_slices, scan_series
from pre2post.image.volume import same_geometry
from pre2post.ingest.study import open_study, same_image, shared_patients


def test_headers_give_phases_times_and_scanner(tmp_path, dicom, sources_of):
    dicom.save_cohort(tmp_path)
    found = open_study(sources_of(tmp_path)[0])
    assert [(role, phase.seconds) for role, phase in found.phases.items()] == [
        ("pre", 0),
        ("post1", 60),
        ("post2", 120),
    ]
    assert (found.facts["manufacturer"], found.facts["field_strength_t"]) == ("ACME", "1.5")
    assert len(found.uid_digest) == 64 and shared_patients(sources_of(tmp_path)) == {}
    assert same_geometry(found.phases["post1"].geometry(), found.phases["post1"].read())


def test_one_patient_in_two_folders_is_refused(tmp_path, dicom, sources_of):
    dicom.save_cohort(tmp_path)
    shutil.rmtree(tmp_path / "Duke-Breast-Cancer-MRI" / "P3")
    dicom.save_case(tmp_path, "P3", patient="P1")
    errors = shared_patients(sources_of(tmp_path))
    assert sorted(errors) == ["P1", "P3"]
    assert "two patients have one id" in str(errors["P1"]) and "P3" in str(errors["P1"])


def test_a_case_without_files_is_refused(tmp_path, dicom, refused, sources_of):
    dicom.save_cohort(tmp_path)
    shutil.rmtree(tmp_path / "Duke-Breast-Cancer-MRI" / "P2")
    source = sources_of(tmp_path)[1]
    refused(lambda: open_study(source), "case P2", "no DICOM files", "no such folder", "what to do")
    source.images.mkdir()
    refused(lambda: open_study(source), "case P2", "no DICOM files", "no image")


@pytest.mark.parametrize(
    "tag, words", [("PatientID", "several patients"), ("StudyInstanceUID", "several examinations")]
)
def test_two_patients_or_studies_in_one_folder_are_refused_without_their_ids(
    tmp_path, dicom, tag, words, refused, sources_of
):
    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    for file in sorted(study.iterdir())[1].iterdir():
        data = pydicom.dcmread(file)
        setattr(data, tag, "1.2.3.4321")
        data.save_as(file)
    assert "4321" not in refused(lambda: open_study(sources_of(tmp_path)[0]), "case P1", words)


def test_copies_are_recognised_in_any_order_of_slices(tmp_path, dicom):
    array = dicom.body_array(0)
    dicom.save_series(tmp_path / "a", array, number=1)
    dicom.save_series(tmp_path / "b", array, number=2, descending=True)
    dicom.save_series(tmp_path / "c", array + 1, number=3)
    one, copy, other = (order_slices(scan_series(tmp_path / name, "P1")[0], "P1") for name in "abc")
    assert same_image(one, copy) and not same_image(one, other)


def test_links_that_form_a_loop_are_not_followed(tmp_path, dicom, sources_of):
    dicom.save_cohort(tmp_path, 1)
    study = tmp_path / "Duke-Breast-Cancer-MRI/P1/study"
    (study / "again").symlink_to(study, target_is_directory=True)
    (study / "nowhere").symlink_to(tmp_path / "nothing")
    assert list(open_study(sources_of(tmp_path)[0]).phases) == ["pre", "post1", "post2"]
