"""DICOM series: order, geometry and values come out right, and whatever is wrong with a series is found and named."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from imaging.dicom import Series, order_slices, read_series, scan_series
from imaging.volume import Volume

TURNED = (-1, 0, 0, 0, -1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def load(folder) -> Volume:
    return read_series(series(folder))


def series(folder) -> Series:
    group, = scan_series(folder, "P1")
    return order_slices(group, "P1")


@pytest.fixture
def files(tmp_path, dicom):
    return dicom.save_series(tmp_path / "pre", dicom.body_array(0))


@pytest.mark.parametrize("descending", [False, True])
def test_slices_are_ordered_by_position(tmp_path, dicom, descending):
    array = dicom.body_array(1)
    dicom.save_series(tmp_path, array, descending=descending)
    volume = load(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, array)
    assert (volume.spacing, volume.origin) == (dicom.spacing, dicom.origin)


@pytest.mark.parametrize("orientation, expected", [
    (TURNED, lambda array: array[:, ::-1, ::-1]), (SAGITTAL, lambda array: array.transpose(1, 2, 0)[::-1, :, ::-1])])
def test_other_orientations_come_to_lps(tmp_path, dicom, orientation, expected):
    array = dicom.body_array(2)
    dicom.save_series(tmp_path, array, orientation=orientation)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.array, expected(array))
    assert volume.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_an_oblique_series_keeps_its_direction(tmp_path, dicom):
    turn = np.deg2rad(12)
    orientation = np.round([np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0], 6)
    dicom.save_series(tmp_path, dicom.body_array(3), orientation=orientation)
    np.testing.assert_allclose(np.reshape(load(tmp_path).direction, (3, 3))[:2, 0], orientation[:2], atol=1e-6)


def test_every_slice_has_its_own_slope_and_intercept(tmp_path, dicom, files):
    array = dicom.body_array(0)
    for z, file in enumerate(files):
        data = pydicom.dcmread(file)
        data.RescaleSlope, data.RescaleIntercept = 1 + 0.5 * z, -3 * z
        data.save_as(file)
    slopes, intercepts = 1 + 0.5 * np.arange(6)[:, None, None], -3 * np.arange(6)[:, None, None]
    np.testing.assert_allclose(load(files[0].parent).array, array * slopes + intercepts, rtol=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, ImplicitVRLittleEndian])
def test_other_transfer_syntaxes_are_read(dicom, files, syntax):
    for file in files:
        data = pydicom.dcmread(file)
        if syntax == RLELossless:
            data.compress(syntax, generate_instance_uid=False)
        else:
            data.file_meta.TransferSyntaxUID = syntax
        data.save_as(file, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    np.testing.assert_array_equal(load(files[0].parent).array, dicom.body_array(0))


def test_truncated_compressed_pixels_are_refused(files, refused):
    for file in files:
        data = pydicom.dcmread(file)
        data.compress(RLELossless, generate_instance_uid=False)
        data.save_as(file)
    files[2].write_bytes(files[2].read_bytes()[:-120])
    refused(lambda: load(files[0].parent), "P1", files[2].name, "truncated")


@pytest.mark.parametrize("lost", [1, 200, 700])
def test_a_truncated_file_is_refused(files, refused, lost):
    files[3].write_bytes(files[3].read_bytes()[:-lost])
    refused(lambda: load(files[0].parent), "case P1", str(files[3]), "truncated", "found", "expected", "what to do")


@pytest.mark.parametrize("content", [b"", b"no DICOM", bytes(2000)])
def test_a_file_that_is_not_dicom_is_refused(files, refused, content):
    files[3].write_bytes(content)
    refused(lambda: load(files[0].parent), "case P1", str(files[3]), "not a DICOM file")


def test_a_file_that_cannot_be_opened_is_refused(files, refused):
    files[3].unlink()
    files[3].symlink_to("nowhere")
    refused(lambda: load(files[0].parent), "case P1", str(files[3]), "cannot be opened", "No such file")


@pytest.mark.parametrize("gone", [1, 2, 4])
def test_a_missing_slice_is_found(files, refused, gone):
    files[gone].unlink()
    refused(lambda: load(files[0].parent), "case P1", "missing", files[gone - 1].name, "5.000", "2.500")


def test_a_duplicated_slice_is_found(files, refused):
    data = pydicom.dcmread(files[2])
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.save_as(files[2].with_name("again.dcm"))
    refused(lambda: load(files[0].parent), "case P1", "duplicated", "again.dcm", files[2].name)


@pytest.mark.parametrize("attribute, value, words", [
    ("ImageOrientationPatient", list(TURNED), "orientation"), ("PixelSpacing", [1.0, 1.0], "spacing"),
    ("FrameOfReferenceUID", "1.9", "frame"), ("PatientID", "P2", "patient"),
    ("ImagePositionPatient", [-10, -20, 33.2], "evenly"), ("ImagePositionPatient", [-9, -20, 32.5], "evenly"),
    ("Modality", "CT", "not an MR"), ("NumberOfFrames", 3, "NumberOfFrames"), ("PixelSpacing", None, "PixelSpacing"),
    ("ImagePositionPatient", [1, 2], "header")])
def test_a_slice_that_does_not_fit_is_named(files, refused, attribute, value, words):
    data = pydicom.dcmread(files[1])
    setattr(data, attribute, value)
    data.save_as(files[1])
    refused(lambda: load(files[0].parent), "case P1", words)


def test_slices_of_other_sizes_are_refused(tmp_path, dicom, files, refused):
    data = pydicom.dcmread(files[1])
    data.Rows, data.PixelData = 8, data.PixelData[:8 * data.Columns * 2]
    data.save_as(files[1])
    refused(lambda: load(files[0].parent), "differ in their size", files[1].name, "(20, 8)", "(20, 16)")


def test_header_rounding_is_tolerated(tmp_path, dicom, files):
    for z, file in enumerate(files):
        data = pydicom.dcmread(file)
        data.ImagePositionPatient = [-10, -20, round(30 + 2.5 * z + 0.004 * (-1) ** z, 3)]
        data.save_as(file)
    assert series(files[0].parent).step == pytest.approx(2.5, abs=0.002)


def test_one_slice_is_no_volume(tmp_path, dicom, refused):
    dicom.save_series(tmp_path, dicom.body_array(0)[:1])
    refused(lambda: load(tmp_path), "single slice")


def test_two_series_in_one_folder_are_two(tmp_path, dicom):
    dicom.save_series(tmp_path, dicom.body_array(0), number=1)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / f"a{file.name}")
    dicom.save_series(tmp_path, dicom.body_array(1), number=2)
    assert [len(group) for group in scan_series(tmp_path, "P1")] == [6, 6]


@pytest.mark.parametrize("number, tags, expected", [
    (7, {}, (32400.0, -1.0, 32400.0, 7)), (7, {"TriggerTime": 250}, (32400.0, 250.0, 32400.0, 7)),
    (7, {"AcquisitionTime": None, "ContentTime": "100001.5"}, (36001.5, -1.0, 36001.5, 7))])
def test_the_moment_of_a_series(tmp_path, dicom, number, tags, expected):
    dicom.save_series(tmp_path, dicom.body_array(0), number=number, **tags)
    assert series(tmp_path).moment == expected
