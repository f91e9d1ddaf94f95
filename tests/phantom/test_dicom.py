"""The DICOM files read by other software: geometry and pixels by SimpleITK, headers by pydicom."""

import csv

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import find_objects

from pre2post.phantom.case import minutes_after_bolus
from pre2post.phantom.dicom import DATE, Frame, Series, clock, decimal, uid, write_series
from pre2post.phantom.patient import make_patient
from pre2post.phantom.roster import IMAGES, STYLES, make_roster
from pre2post.phantom.sites import SITES

PHASES = ("pre", "post1", "post2")


def read_series(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def headers(folder):
    return [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_a_volume_is_read_back_with_its_geometry(tmp_path, rotated, descending, site):
    grid = site.grid(24, 6)
    volume = np.arange(np.prod(grid.shape)).reshape(grid.shape).astype(np.int16 if site.signed else np.uint16) % 4000
    frame = Frame((3.2, -10.5, 21.7), rotated, descending)
    write_series(tmp_path / "series", volume, grid, frame, Series("c", "s", "k", 5, "ax dyn pre", 36000, True), site)
    image = read_series(tmp_path / "series")
    assert image.GetDirection() == ((-1, 0, 0, 0, -1, 0, 0, 0, 1) if rotated else (1, 0, 0, 0, 1, 0, 0, 0, 1))
    np.testing.assert_allclose(image.GetSpacing(), grid.spacing, atol=1e-6)
    upright = sitk.DICOMOrient(image, "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(upright), volume)
    np.testing.assert_allclose(upright.GetOrigin(), np.add(grid.origin, frame.table), atol=1e-3)
    first, last = headers(tmp_path / "series")[:: len(volume) - 1]
    assert (first.ImagePositionPatient[2] > last.ImagePositionPatient[2]) == descending


def test_headers_are_valid(cohort):
    cases = {case.id: case for case in make_roster(10, 2026)}
    seen = set()
    for folder in sorted((cohort / IMAGES).glob("*/*/*")):
        site = SITES[cases[folder.parts[-3]].site]
        for header in headers(folder):
            assert header.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
            assert header.SOPClassUID == header.file_meta.MediaStorageSOPClassUID == pydicom.uid.MRImageStorage
            assert header.PatientID == folder.parts[-3] and header.PatientIdentityRemoved == "YES"
            assert header.StudyDate == header.AcquisitionDate == DATE
            assert (header.MagneticFieldStrength, header.Manufacturer) == (site.field, site.manufacturer)
            assert ("FS" in header.ScanOptions) == (header.SeriesDescription != "ax t1")
            assert all(value.is_valid for value in (header.SOPInstanceUID, header.SeriesInstanceUID))
            seen.add(header.SOPInstanceUID)
    assert len(seen) == len(list((cohort / IMAGES).rglob("*.dcm")))


def test_series_names_and_traps_follow_the_roster(cohort):
    for case in make_roster(10, 2026):
        series = [headers(folder)[0] for folder in (cohort / IMAGES / case.id).glob("*/*")]
        dynamic = {h.AcquisitionTime: h for h in series if h.SeriesDescription != "ax t1"}
        assert len(series) - len(dynamic) == len(case.traps & {"duplicated", "plain_t1"})
        in_time = [dynamic[time] for time in sorted(dynamic)]
        assert tuple(h.SeriesDescription for h in in_time) == STYLES[case.style].descriptions
        assert tuple(h.SeriesNumber for h in in_time) == STYLES[case.style].numbers
        assert len({h.FrameOfReferenceUID for h in series}) == len({h.StudyInstanceUID for h in series}) == 1


def test_masks_have_the_geometry_of_pre_and_enhance(cohort):
    with open(cohort / "cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["case", "site", "mask"] and len(rows) == 10
    masked = [row for row in rows if row["mask"]]
    assert {row["site"] for row in masked} == {"A", "B"}
    for row in masked:
        mask = sitk.ReadImage(str(cohort / row["mask"]))
        folders = [f for f in (cohort / IMAGES / row["case"]).glob("*/*") if "ax t1" not in f.name]
        pre, post = (read_series(f) for f in sorted(folders, key=lambda f: headers(f)[0].AcquisitionTime)[:2])
        for of_mask, of_pre in (
            (mask.GetOrigin(), pre.GetOrigin()),
            (mask.GetSpacing(), pre.GetSpacing()),
            (mask.GetDirection(), pre.GetDirection()),
        ):
            np.testing.assert_allclose(of_mask, of_pre, atol=1e-3)
        inside = sitk.GetArrayFromImage(mask)
        assert inside.dtype == np.uint8 and set(np.unique(inside)) == {0, 1}
        gain = [sitk.GetArrayFromImage(image)[inside > 0].mean() for image in (pre, post)]
        assert gain[1] > 1.2 * gain[0]


def test_boxes_surround_the_tumours_in_the_archives_convention(cohort):
    """Rows and columns of the stored pixels, slices by InstanceNumber; all from 1, both ends included."""
    with open(cohort / "Annotation_Boxes.csv", newline="") as file:
        rows = {row.pop("Patient ID"): row for row in csv.DictReader(file)}
    roster = make_roster(10, 2026)
    assert list(rows) == [case.id for case in roster]
    assert list(rows["Breast_MRI_001"]) == [
        "Start Row",
        "End Row",
        "Start Column",
        "End Column",
        "Start Slice",
        "End Slice",
    ]
    for case in roster:
        folder = next(f for f in sorted((cohort / IMAGES / case.id).glob("*/*")) if "ax t1" not in f.name)
        tumour = make_patient(2026, case.number, SITES[case.site].grid(32, 8)).tumour
        frame = headers(folder)[0]
        if frame.ImageOrientationPatient[0] < 0:
            tumour = tumour[:, ::-1, ::-1]
        heights = sorted(header.ImagePositionPatient[2] for header in headers(folder))
        in_order = np.stack(
            [
                tumour[heights.index(h.ImagePositionPatient[2])]
                for h in sorted(headers(folder), key=lambda h: h.InstanceNumber)
            ]
        )
        slices, image_rows, columns = find_objects(in_order.astype(int))[0]
        expected = [end for span in (image_rows, columns, slices) for end in (span.start + 1, span.stop)]
        assert [int(value) for value in rows[case.id].values()] == expected, case


@given(st.floats(-9999, 9999))
def test_decimal_strings_are_short_and_close(value):
    assert len(decimal(value)) <= 16 and abs(float(decimal(value)) - value) <= 5.1e-5


def test_uid_clock_and_time():
    assert uid("a") != uid("b") and len(uid("a")) <= 64
    assert clock(36900) == "101500.000000"
    assert minutes_after_bolus(0) == 0
    assert minutes_after_bolus(207) == pytest.approx(157 / 60)
