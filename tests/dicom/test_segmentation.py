"""Segmentation objects that highdicom wrote, against their masks."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from pydicom.sr.codedict import codes

from pre2post.dicom.segmentation import is_segmentation, read_segmentation
from pre2post.dicom.series import order_slices, read_series, scan_series
from pre2post.image.registration import resample_onto

pytestmark = pytest.mark.filterwarnings("ignore:The string")  # highdicom wants names of two parts
NEEDED = dict.fromkeys(("PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName", "StudyTime"), "")
COSINE, SINE = np.cos(0.2), np.sin(0.2)
LOOKS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "turned": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (COSINE, SINE, 0, -SINE, COSINE, 0),
}


@pytest.fixture
def series(dicom, tmp_path):
    """series(array, **kind) -> the datasets of an MR series with these values, in order of position, and its volume."""

    def make(array, **kind):
        folder = tmp_path / f"series{len(list(tmp_path.iterdir()))}"
        dicom.save_series(folder, array, **NEEDED | kind)
        found = order_slices(scan_series(folder, "P1")[0], "P1")
        return [pydicom.dcmread(one.file) for one in found.slices], read_series(found)

    return make


@pytest.fixture
def store(tmp_path):
    """store(images, array, names) -> path of a Segmentation object; `array` is (z, y, x) or (z, y, x, segment)."""

    def write(images, array, names=("Tumor",), kind="BINARY", change=lambda data: None):
        segments = [
            SegmentDescription(number, name, codes.SCT.Tissue, codes.SCT.Breast, SegmentAlgorithmTypeValues.MANUAL)
            for number, name in enumerate(names, 1)
        ]
        data = Segmentation(images, array, kind, segments, hd.UID(), 9, hd.UID(), 1, "ACME", "one", "1", "1")
        change(data)
        data.save_as(tmp_path / "seg.dcm")
        return tmp_path / "seg.dcm"

    return write


def drawn(shape) -> np.ndarray:
    """Two lesions with empty slices before, between and after, and nothing symmetric about them."""
    array = np.zeros(shape, np.uint8)
    array[1, 5:8, 3:9] = 1
    array[1, 7, 8] = 0
    array[4, 9:12, 12:14] = 1
    return array


def assert_same(path, images, expected, label=None) -> None:
    found = read_segmentation(path, label)
    laid = resample_onto(found, images, label=True)
    assert found.array.dtype == laid.array.dtype == np.uint8
    assert set(np.unique(found.array)) == {0, 1}
    np.testing.assert_array_equal(laid.array, expected)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_the_mask_is_read_in_the_geometry_of_the_images(dicom, series, store, look, kind):
    array = drawn(dicom.shape)
    place = {"orientation": LOOKS[look], "descending": look == "turned"}
    images, pre = series(dicom.body_array(0), **place)
    expected = series(array, **place)[1].array
    path = store(images, array * (1.0 if kind == "FRACTIONAL" else 1), kind=kind)
    assert pydicom.dcmread(path).NumberOfFrames == 2  # empty slices are left out
    assert expected.sum() == array.sum() > 0
    assert_same(path, pre, expected)
    assert read_segmentation(path).array.size < pre.array.size


def test_a_fractional_voxel_counts_from_one_half_on(dicom, series, store):
    images, pre = series(dicom.body_array(0))
    shares = drawn(dicom.shape) * np.linspace(0, 1, dicom.shape[2])
    path = store(images, shares, kind="FRACTIONAL")
    assert_same(path, pre, (np.round(shares * 255) >= 127.5).astype(np.uint8))
    assert (shares[shares > 0] < 0.5).any()


def without_step(data) -> None:
    del data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices


@pytest.mark.parametrize("planes", [(2,), (1, 4), (0, 2, 5)])
def test_the_slice_spacing_may_be_missing(dicom, series, store, planes):
    images, pre = series(dicom.body_array(0))
    array = np.zeros(dicom.shape, np.uint8)
    array[list(planes), 6:9, 5:11] = 1
    path = store(images, array, change=without_step)
    assert read_segmentation(path).spacing == pytest.approx(dicom.spacing)
    assert_same(path, pre, array)


def test_a_thickness_that_is_not_the_spacing_is_not_used(dicom, series, store):
    images, pre = series(dicom.body_array(0), SliceThickness=3.1)
    array = np.zeros(dicom.shape, np.uint8)
    array[2:5, 6:9, 5:11] = 1
    assert_same(store(images, array, change=without_step), pre, array)


def two_segments(shape) -> np.ndarray:
    array = np.zeros((*shape, 2), np.uint8)
    array[..., 0] = drawn(shape)
    array[1:4, 4:7, 2:6, 1] = 1
    return array


@pytest.mark.parametrize(
    "names, taken",
    [
        (("Breast", "left_tumor_1"), [1]),
        (("Lesion 1", "Muscle"), [0]),
        (("Primary tumour", "Mass"), [0, 1]),
        (("massive blood vessels", "Neoplastic tissue"), [1]),
    ],
)
def test_segments_named_after_a_tumour_are_merged(dicom, series, store, names, taken):
    images, pre = series(dicom.body_array(0))
    array = two_segments(dicom.shape)
    assert (array.sum(axis=-1) == 2).any()  # they overlap
    assert_same(store(images, array, names), pre, array[..., taken].max(axis=-1))


def test_the_type_counts_as_the_name_does(dicom, series, store):
    def as_neoplasm(data):
        data.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Neoplasm"

    images, pre = series(dicom.body_array(0))
    array = two_segments(dicom.shape)
    assert_same(store(images, array, ("A", "B"), change=as_neoplasm), pre, array[..., 1])


def test_a_single_segment_of_any_name_is_the_tumour_and_a_label_selects(dicom, series, store):
    images, pre = series(dicom.body_array(0))
    array = two_segments(dicom.shape)
    assert_same(store(images, array[..., 0], ("Segment_1",)), pre, array[..., 0])
    assert_same(store(images, array, ("Segment_1", "Tumor")), pre, array[..., 0], label="segment_1")


def test_unclear_segments_are_listed(dicom, series, store, refused):
    images, _ = series(dicom.body_array(0))
    path = store(images, two_segments(dicom.shape), ("Breast", "Muscle"))
    refused(lambda: read_segmentation(path), "'Breast' (Breast)", "'Muscle'", "which segment", "seg.dcm")
    refused(lambda: read_segmentation(path, "Tumor"), "'Breast' (Breast)", "expected: a segment 'Tumor'", "seg.dcm")


def test_other_files_are_not_segmentations(dicom, series, store, tmp_path, refused):
    images, _ = series(dicom.body_array(0))
    path = store(images, drawn(dicom.shape))
    (tmp_path / "text.dcm").write_text("no DICOM")
    others = (images[0].filename, tmp_path / "text.dcm", tmp_path, tmp_path / "absent.dcm")
    assert is_segmentation(path)
    assert not any(map(is_segmentation, others))
    for other in others[:2]:
        refused(lambda other=other: read_segmentation(other), "not a DICOM Segmentation", str(other))
    for other in others[2:]:
        refused(lambda other=other: read_segmentation(other), "missing", str(other))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_a_file_truncated_anywhere_is_refused(dicom, series, store, tmp_path, refused, kind):
    images, _ = series(dicom.body_array(0))
    array = drawn(dicom.shape)
    whole = store(images, array * (1.0 if kind == "FRACTIONAL" else 1), kind=kind).read_bytes()
    for length in [*range(0, len(whole), len(whole) // 30), len(whole) - 1]:
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        refused(lambda: read_segmentation(tmp_path / "cut.dcm"), "cut.dcm")


def test_frames_that_are_not_evenly_spaced_are_refused(dicom, series, store, refused):
    def shift(data):
        data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 1.0

    def squeeze(data):
        data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = "0.0001"

    images, _ = series(dicom.body_array(0))
    refused(lambda: read_segmentation(store(images, drawn(dicom.shape), change=shift)), "seg.dcm", "evenly spaced")
    refused(lambda: read_segmentation(store(images, drawn(dicom.shape), change=squeeze)), "seg.dcm", "too many slices")
