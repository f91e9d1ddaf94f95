"""DICOM series: order, geometry and values are right, and every defect of a series is found and named."""

import os
from datetime import date

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from pre2post.dicom.series import Series, lps_geometry, order_slices, read_folder, read_series, scan_series
from pre2post.image.volume import Volume, same_geometry

TURNED = (-1, 0, 0, 0, -1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
DAY = 86400.0 * date(2001, 1, 1).toordinal()  # the fixture's


def load(folder) -> Volume:
    return read_series(series(folder))


def series(folder) -> Series:
    (group,) = scan_series(folder, "P1")
    return order_slices(group, "P1")


def change(file, **tags):
    data = pydicom.dcmread(file)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(file)


@pytest.fixture
def files(tmp_path, dicom):
    return dicom.save_series(tmp_path / "pre", dicom.body_array(0))


@pytest.mark.parametrize("descending", [False, True])
def test_slices_are_ordered_by_position(tmp_path, dicom, descending):
    array = dicom.body_array(1)
    dicom.save_series(tmp_path, array, descending=descending)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.array, array)
    assert (volume.spacing, volume.origin) == (dicom.spacing, dicom.origin)


@pytest.mark.parametrize(
    "orientation, expected",
    [(TURNED, lambda array: array[:, ::-1, ::-1]), (SAGITTAL, lambda array: array.transpose(1, 2, 0)[::-1, :, ::-1])],
)
def test_other_orientations_are_turned_to_lps(tmp_path, dicom, orientation, expected):
    array = dicom.body_array(2)
    dicom.save_series(tmp_path, array, orientation=orientation)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.array, expected(array))
    assert volume.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert same_geometry(lps_geometry(series(tmp_path)), volume, tolerance=0)


def test_an_oblique_series_keeps_its_direction(tmp_path, dicom):
    turn = np.deg2rad(12)
    orientation = np.round([np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0], 6)
    dicom.save_series(tmp_path, dicom.body_array(3), orientation=orientation)
    np.testing.assert_allclose(np.reshape(load(tmp_path).direction, (3, 3))[:2, 0], orientation[:2], atol=1e-6)


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


@pytest.mark.parametrize(
    "attribute, value, words",
    [
        ("ImageOrientationPatient", list(TURNED), "orientation"),
        ("PixelSpacing", [1.0, 1.0], "spacing"),
        ("FrameOfReferenceUID", "1.9", "frame"),
        ("PatientID", "P2", "patient"),
        ("ImagePositionPatient", [-10, -20, 33.2], "evenly"),
        ("ImagePositionPatient", [-9, -20, 32.5], "evenly"),
        ("Modality", "CT", "not an MR"),
        ("NumberOfFrames", 3, "NumberOfFrames"),
        ("PixelSpacing", None, "PixelSpacing"),
        ("ImagePositionPatient", [1, 2], "header"),
        ("SeriesInstanceUID", "", "SeriesInstanceUID"),
        ("PixelSpacing", [0.01, 0.01], "0.05 to 10 mm"),
        ("PixelSpacing", [0, 0.7], "0.05 to 10 mm"),
        ("PixelSpacing", [0.7, 300], "0.05 to 10 mm"),
        ("BitsAllocated", 12, "matrix"),
        ("BitsStored", 17, "BitsStored 17"),
        ("HighBit", 11, "HighBit 11"),
        ("RescaleSlope", 0, "RescaleSlope 0"),
        ("SamplesPerPixel", 3, "SamplesPerPixel 3"),
        ("PhotometricInterpretation", "MONOCHROME1", "MONOCHROME1"),
        ("Rows", 8, "320 bytes"),
        ("Rows", 17, "680 bytes"),
        ("Rows", 5000, "2 to 4096"),
        ("Columns", 1, "2 to 4096"),
        ("AcquisitionTime", "morning", "header"),
    ],
)
def test_a_deviating_slice_is_named(files, refused, attribute, value, words):
    with pydicom.config.disable_value_validation():
        change(files[1], **{attribute: value})
    refused(lambda: load(files[0].parent), "case P1", files[1].name, words)


@pytest.mark.parametrize(
    "attribute, text, bad",
    [
        ("ImagePositionPatient", b"-10.0\\-20.0\\32.5", b"-10.0\\-20.0\\ nan"),
        ("ImageOrientationPatient", b"1.0\\0.0\\0.0", b"inf\\0.0\\0.0"),
        ("PixelSpacing", b"0.75\\0.75", b"0.75\\ nan"),
        ("RescaleIntercept", b"-123.5", b"  -inf"),
    ],
)
def test_nan_and_infinity_are_refused(files, refused, attribute, text, bad):
    change(files[1], RescaleIntercept="-123.5")
    content = files[1].read_bytes()
    assert content.count(text) == 1
    files[1].write_bytes(content.replace(text, bad))
    refused(lambda: load(files[0].parent), "case P1", files[1].name)


@pytest.mark.parametrize("step", [0.04, 25.0])
def test_impossible_steps_are_refused(tmp_path, dicom, refused, step):
    dicom.save_series(tmp_path, dicom.body_array(0), spacing=(0.7, 0.7, step))
    refused(lambda: load(tmp_path), "case P1", f"a step of {step:g} mm", "0.05 to 20 mm")


def test_rows_and_columns_are_perpendicular(tmp_path, dicom, refused):
    dicom.save_series(tmp_path, dicom.body_array(0), orientation=(1, 0, 0, 0.6, 0.8, 0))
    refused(lambda: load(tmp_path), "case P1", "not perpendicular")


def test_slices_of_other_sizes_are_refused(tmp_path, dicom, files, refused):
    data = pydicom.dcmread(files[1])
    data.Rows, data.PixelData = 8, data.PixelData[: 8 * data.Columns * 2]
    data.save_as(files[1])
    refused(lambda: load(files[0].parent), "differ in their size", files[1].name, "(20, 8)", "(20, 16)")


def test_header_rounding_is_tolerated(tmp_path, dicom, files):
    for z, file in enumerate(files):
        data = pydicom.dcmread(file)
        data.ImagePositionPatient = [-10, -20, round(30 + 2.5 * z + 0.004 * (-1) ** z, 3)]
        data.save_as(file)
    assert series(files[0].parent).step == pytest.approx(2.5, abs=0.002)


def test_one_slice_is_not_a_volume(tmp_path, dicom, refused):
    dicom.save_series(tmp_path, dicom.body_array(0)[:1])
    refused(lambda: load(tmp_path), "single slice")


def test_two_series_in_one_folder_are_separated(tmp_path, dicom):
    dicom.save_series(tmp_path, dicom.body_array(0), number=1)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / f"a{file.name}")
    dicom.save_series(tmp_path, dicom.body_array(1), number=2)
    assert [len(group) for group in scan_series(tmp_path, "P1")] == [6, 6]


@pytest.mark.parametrize(
    "tags, expected",
    [
        ({}, (DAY + 32400, -1, -1, DAY + 32400, 7)),
        ({"TriggerTime": 250}, (DAY + 32400, 250, -1, DAY + 32400, 7)),
        ({"TemporalPositionIdentifier": 3}, (DAY + 32400, -1, 3, DAY + 32400, 7)),
        ({"AcquisitionTime": None, "ContentTime": "100001.5"}, (DAY + 36001.5, -1, -1, DAY + 36001.5, 7)),
        (
            {"AcquisitionTime": None, "ContentTime": None, "AcquisitionDateTime": "20010102090000.5-0500"},
            (DAY + 86400 + 32400.5, -1, -1, -1, 7),
        ),
    ],
)
def test_the_moment_of_a_series(tmp_path, dicom, tags, expected):
    dicom.save_series(tmp_path, dicom.body_array(0), number=7, **tags)
    assert series(tmp_path).moment == expected


def test_an_examination_over_midnight_stays_in_order(tmp_path, dicom):
    dicom.save_series(tmp_path / "pre", dicom.body_array(0), time="235900")
    dicom.save_series(tmp_path / "post", dicom.body_array(0), time="000100", AcquisitionDate="20010102")
    pre, post = series(tmp_path / "pre"), series(tmp_path / "post")
    assert post.moment > pre.moment and post.head.acquired - pre.head.acquired == 120
    assert (pre.head.date, post.head.date) == ("20010101", "20010102")


def test_phases_in_one_series_are_separated(tmp_path, dicom):
    for phase in (1, 2):
        dicom.save_series(tmp_path / "both", dicom.body_array(phase), TemporalPositionIdentifier=phase)
        for file in (tmp_path / "both").glob("1-*.dcm"):
            file.rename(file.with_name(f"{phase}{file.name[1:-4]}.ima"))
    phases = sorted(
        (order_slices(group, "P1") for group in scan_series(tmp_path / "both", "P1")), key=lambda phase: phase.moment
    )
    assert [phase.head.temporal for phase in phases] == [1, 2]
    for phase, one in enumerate(phases, start=1):
        np.testing.assert_array_equal(read_series(one).array, dicom.body_array(phase))


def test_files_are_recognised_by_their_content(dicom, files):
    folder = files[0].parent
    for file in files[::2]:
        file.rename(file.with_suffix(""))
    (folder / "LICENSE").write_text("do as you like")
    (folder / "notes.txt").write_text("")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / ".hidden.dcm").write_bytes(b"half a download")
    (folder / "inside.dcm").mkdir()
    (folder / "inside.dcm" / "back").symlink_to(folder)
    (folder / "gone.txt").symlink_to("nowhere")
    np.testing.assert_array_equal(read_folder(folder).array, dicom.body_array(0))


def test_objects_that_are_not_mr_images_are_skipped(files, dicom, refused):
    data = pydicom.dcmread(files[0])
    for number, kind in enumerate(("1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.7")):  # report, capture
        data.SOPClassUID, data.SeriesInstanceUID = kind, f"1.{number}"
        data.save_as(files[0].with_name(f"other{number}.dcm"))
    np.testing.assert_array_equal(read_folder(files[0].parent).array, dicom.body_array(0))
    for file in files:
        file.unlink()
    refused(lambda: read_folder(files[0].parent), "no DICOM MR slices", "2 other files")


def test_a_pipe_does_not_block(files, refused):
    files[3].unlink()
    os.mkfifo(files[3])
    refused(lambda: load(files[0].parent), "case P1", files[3].name, "not a regular file")


def test_files_that_may_not_be_opened_are_refused(files, refused, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    refused(lambda: load(files[0].parent), "case P1", files[0].name, "Permission denied", "permissions")


def test_a_file_that_changes_after_the_scan_is_refused(files, refused):
    found = series(files[0].parent)
    files[2].write_bytes(files[2].read_bytes()[:-10])
    refused(lambda: read_series(found), "case P1", files[2].name, "630 of 640 bytes")
