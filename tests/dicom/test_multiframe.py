"""Enhanced MR: a dynamic study in one file is split into its phases, as highdicom and SimpleITK read it."""

from pathlib import Path

import highdicom
import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, generate_uid

from pre2post.dicom.header import read_headers
from pre2post.dicom.series import order_slices, read_folder, read_series, scan_series
from pre2post.dicom.stored_order import slice_numbers

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SHAPE = (2, 4, 12, 10)  # phase, z, y, x
START = 36000.0


def item(**values) -> list[Dataset]:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return [data]


def phases_array(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, SHAPE)


def save(
    dicom, path: Path, array: np.ndarray, slopes=None, code=None, order=None, per_frame=lambda frame: {}, **tags
) -> Dataset:
    """Frames of every phase, slice after slice, by hand (PS3.3 A.36.2); `slopes` by phase, `order` of the frames."""
    frames = [(phase, z) for z in range(array.shape[1]) for phase in range(array.shape[0])]
    frames = frames if order is None else [frames[place] for place in order]
    stored = np.stack([array[place] for place in frames])
    top = {
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.3",
        "PatientID": "P1",
        "FrameOfReferenceUID": "1.4",
        "SeriesDescription": "dyn",
        "SeriesNumber": 5,
        "NumberOfFrames": len(frames),
        "ImageType": ["ORIGINAL", "PRIMARY", "DYNAMIC", "NONE"],
        "EchoPulseSequence": "GRADIENT",
        "PulseSequenceName": "THRIVE",
        "ContentDate": "20200101",
        "ContentTime": "100500",
    }
    data = dicom.slice_dataset(stored[0], (0, 0, 0), top)
    del data.ImagePositionPatient
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    data.SharedFunctionalGroupsSequence = item(
        PixelMeasuresSequence=item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5),
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        MRModifierSequence=item(SpectrallySelectedSuppression="FAT"),
    )
    data.PerFrameFunctionalGroupsSequence = [Dataset() for _ in frames]
    for group, (phase, z) in zip(data.PerFrameFunctionalGroupsSequence, frames, strict=True):
        group.PlanePositionSequence = item(ImagePositionPatient=[-5, -6, 10 + 2.5 * z])
        group.FrameContentSequence = item(
            TemporalPositionIndex=phase + 1,
            FrameAcquisitionDateTime=f"2020010110{phase:02d}00.25",
            StackID="1",
            InStackPositionNumber=z + 1,
            DimensionIndexValues=[phase + 1, z + 1],
        )
        if slopes:
            group.PixelValueTransformationSequence = item(
                RescaleSlope=slopes[phase], RescaleIntercept=-3, RescaleType="US"
            )
        for name, value in per_frame((phase, z)).items():
            setattr(group, name, value)
    data.PixelData = stored.astype("<u2").tobytes()
    if code:
        data.PixelData = encapsulate([code(frame.astype(np.uint16)) for frame in stored], **tags.pop("pieces", {}))
        data["PixelData"].VR, data.file_meta.TransferSyntaxUID = "OB", JPEGLSLossless
    for name, value in tags.items():
        setattr(data, name, value)
    path.parent.mkdir(exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


def load(folder: Path) -> list:
    return sorted((order_slices(group, "P1") for group in scan_series(folder, "P1")), key=lambda phase: phase.moment)


@pytest.mark.parametrize("slopes", [None, (2, 3), (1.5, 0.25)])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_file_of_a_dynamic_study_is_split_into_its_phases(tmp_path, dicom, slopes, mixed):
    array = phases_array()
    order = np.random.default_rng(1).permutation(8) if mixed else None
    save(dicom, tmp_path / "study.dcm", array, slopes, order=order)
    phases = load(tmp_path)
    assert [phase.head.temporal for phase in phases] == [1, 2]
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "study.dcm")))
    for number, phase in enumerate(phases):
        volume = read_series(phase)
        expected = array[number] if slopes is None else array[number] * slopes[number] - 3
        np.testing.assert_array_equal(volume.array, expected)
        assert volume.array.dtype == {None: np.uint16, (2, 3): np.int16, (1.5, 0.25): np.float32}[slopes]
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.5)) and volume.origin == (-5, -6, 10)
        if slopes is None:
            np.testing.assert_array_equal(theirs[[one.instance - 1 for one in phase.slices]], volume.array)
    assert phases[1].head.acquired - phases[0].head.acquired == 60
    head = phases[0].head
    assert (head.date, head.scan_options, head.scanning_sequence) == ("20200101", ("FS",), ("GR",))
    assert (head.sequence_name, head.description, head.number) == ("THRIVE", "dyn", 5)
    if not mixed:
        assert [slice_numbers(phase) for phase in phases] == [[1, 2, 3, 4]] * 2


def test_one_phase_is_what_highdicom_reads(tmp_path, dicom):
    save(dicom, tmp_path / "pre.dcm", phases_array()[:1], slopes=(1.5,))
    theirs = highdicom.imread(tmp_path / "pre.dcm").get_volume()
    ours = read_folder(tmp_path)
    turned = theirs.to_patient_orientation("HPL")  # slices towards the head, rows to the back, columns to the left
    np.testing.assert_allclose(turned.array, ours.array)
    np.testing.assert_allclose(turned.position, ours.origin)
    np.testing.assert_allclose(turned.spacing, ours.spacing[::-1])


def test_a_legacy_conversion_by_highdicom_reads_as_the_classic_files(tmp_path, dicom):
    tags = {
        "PatientBirthDate": "",
        "PatientSex": "F",
        "AccessionNumber": "",
        "StudyTime": "090000",
        "ReferringPhysicianName": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "SoftwareVersions": "1",
        "ManufacturerModelName": "M",
        "DeviceSerialNumber": "1",
        "PatientPosition": "HFP",
        "ContentDate": "20010101",
    }
    classic = dicom.save_series(tmp_path / "classic", dicom.body_array(0), descending=True, **tags)
    converted = LegacyConvertedEnhancedMRImage(
        [pydicom.dcmread(file) for file in classic], generate_uid(), 9, generate_uid(), 1
    )
    (tmp_path / "converted").mkdir()
    converted.save_as(tmp_path / "converted" / "all")
    one, other = read_folder(tmp_path / "classic"), read_folder(tmp_path / "converted")
    np.testing.assert_array_equal(one.array, other.array)
    assert (one.spacing, one.origin, one.direction) == (other.spacing, other.origin, other.direction)


@pytest.mark.parametrize("pieces", [{}, {"fragments_per_frame": 2}])
def test_compressed_frames_are_found(tmp_path, dicom, pieces):
    array = phases_array(3)
    save(dicom, tmp_path / "study.dcm", array, code=imagecodecs.jpegls_encode, pieces=pieces)
    for number, phase in enumerate(load(tmp_path)):
        np.testing.assert_array_equal(read_series(phase).array, array[number])
    if not pieces:  # GDCM reads only one piece per frame
        frames = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "study.dcm")))
        np.testing.assert_array_equal(frames, array.transpose(1, 0, 2, 3).reshape(8, 12, 10))


def test_pieces_that_belong_to_no_frame_are_refused(tmp_path, dicom, refused):
    save(
        dicom,
        tmp_path / "study.dcm",
        phases_array(),
        code=imagecodecs.jpegls_encode,
        pieces={"fragments_per_frame": 2, "has_bot": False},
    )
    refused(lambda: scan_series(tmp_path, "P1"), "case P1", "study.dcm", "16 compressed pieces", "8 frames")


@pytest.mark.parametrize(
    "tags, words",
    [
        ({"NumberOfFrames": 9}, ("NumberOfFrames 9", "NumberOfFrames 8")),
        ({"Rows": 13}, ("2080 bytes",)),
        ({"NumberOfFrames": 10**9}, ("NumberOfFrames 1000000000",)),
        ({"PerFrameFunctionalGroupsSequence": []}, ("NumberOfFrames 8",)),
        ({"Modality": "CT"}, ("not an MR image",)),
        ({"SharedFunctionalGroupsSequence": []}, ("no PixelSpacing",)),
    ],
)
def test_files_whose_frames_do_not_fit_are_refused(tmp_path, dicom, refused, tags, words):
    save(dicom, tmp_path / "study.dcm", phases_array(), **tags)
    refused(lambda: read_headers(tmp_path / "study.dcm", "P1"), "case P1", "study.dcm", *words)


def test_a_missing_frame_is_found(tmp_path, dicom, refused):
    save(dicom, tmp_path / "study.dcm", phases_array(), order=[0, 1, 2, 4, 5, 6, 7])
    refused(lambda: load(tmp_path), "case P1", "a slice is missing", "5.000 mm")


def test_a_capture_of_many_frames_is_refused(tmp_path, dicom, refused):
    save(dicom, tmp_path / "capture.dcm", phases_array(), SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2")
    refused(lambda: read_headers(tmp_path / "capture.dcm", "P1"), "capture.dcm", "not an MR image")
    assert scan_series(tmp_path, "P1") == []


def test_groups_of_a_frame_override_shared_ones(tmp_path, dicom, refused):
    save(
        dicom,
        tmp_path / "study.dcm",
        phases_array(),
        per_frame=lambda frame: {
            "PixelMeasuresSequence": item(PixelSpacing=[0.9, 0.9] if frame == (0, 2) else [0.8, 0.7])
        },
    )
    refused(lambda: load(tmp_path), "case P1", "differ in their spacing", "(0.9, 0.9)")
