"""Synthetic series as DICOM: values, geometry, conformance to the standard, and de-identification."""

import errno
import json
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, MRImageStorage

from pre2post.core.errors import InputError
from pre2post.dicom.series import Series, order_slices, read_folder, read_series, scan_series
from pre2post.dicom.write import LEVELS, MIN_SPAN, WIDE_SPAN, to_stored, write_synthetic_series
from pre2post.image.volume import Volume, same_geometry

OBLIQUE = tuple(np.round(np.linalg.qr(np.array([[9, 2, 1], [-2, 8, 1.5], [1, -1, 9.0]]))[0][:, :2].T, 6).ravel())
ORIENTATIONS = [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE]
SECRETS = {  # by attribute; no other attribute has these texts
    "PatientName": "Doe^Jane",
    "PatientID": "MRN4711",
    "PatientBirthDate": "19620304",
    "EthnicGroup": "Martian",
    "PatientTelephoneNumbers": "555-0199",
    "OtherPatientIDs": "SSN-078",
    "PatientComments": "twin of Joan",
    "PatientAddress": "12 Elm Street",
    "PatientAge": "047Y",
    "InstitutionName": "Mercy Hospital",
    "InstitutionAddress": "9 Oak Lane",
    "StationName": "MRBAY3",
    "DeviceSerialNumber": "SN-99812",
    "ReferringPhysicianName": "Strange^Stephen",
    "OperatorsName": "Nurse^Ratched",
    "AccessionNumber": "ACC-3141",
    "StudyID": "STUDY-2718",
    "StudyDescription": "MRI of Jane",
    "SeriesDescription": "ax dyn pre of Jane",
    "ProtocolName": "Mercy protocol",
    "ImageComments": "Jane moved",
    "StudyDate": "20170809",
    "StudyTime": "111213",
    "AcquisitionDate": "20170810",
    "ContentTime": "141516",
    "ImageType": ["ORIGINAL", "PRIMARY", "JANE"],
    "ScanOptions": "JANE_FS",
    "SequenceVariant": "JANE_SK",
    "ManufacturerModelName": "Scanner of Mercy",
}


@pytest.fixture
def source(tmp_path, dicom):
    """Write a series and return it as the program reads it."""

    def saved(orientation=ORIENTATIONS[0], array=None, **tags) -> Series:
        array = dicom.body_array(1) if array is None else array
        dicom.save_series(tmp_path / "source", array, orientation=orientation, **tags)
        return series_of(tmp_path / "source")

    return saved


def series_of(folder: Path) -> Series:
    (group,) = scan_series(folder, "P1")
    return order_slices(group, "P1")


def synthetic(series: Series, scale: float = 1.3) -> Volume:
    pre = read_series(series)
    return pre.like((pre.array * scale - 20.7).astype(np.float32))


def written(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(file) for file in sorted(folder.iterdir())]


def read_with_itk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("scale, step", [(1.3, 1), (1e-3, None), (400, None)])
def test_values_and_geometry_are_read_as_written(tmp_path, source, orientation, scale, step):
    series = source(orientation, descending=True)
    volume = synthetic(series, scale)
    write_synthetic_series(volume, series, tmp_path / "out")
    step = step or float(np.ptp(volume.array)) / LEVELS * 1.001
    ours, theirs = read_folder(tmp_path / "out"), read_with_itk(tmp_path / "out")
    assert same_geometry(ours, volume, tolerance=1e-4)
    np.testing.assert_allclose(ours.array, volume.array, rtol=1e-6, atol=step / 2)
    before = read_with_itk(tmp_path / "source")
    for name in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(theirs, name)(), getattr(before, name)(), atol=1e-3)
    expected = sitk.GetArrayFromImage(before) * scale - 20.7
    np.testing.assert_allclose(sitk.GetArrayFromImage(theirs), expected, rtol=1e-6, atol=step * 0.51)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_slice_has_the_geometry_of_a_slice_of_the_source(tmp_path, source, orientation):
    series = source(orientation)
    write_synthetic_series(synthetic(series), series, tmp_path / "out")
    names = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
    pairs = list(zip(written(tmp_path / "out"), series.slices, strict=True))
    assert len(pairs) == 6
    for number, (data, header) in enumerate(pairs, start=1):
        given_data = pydicom.dcmread(header.file)
        assert [data[name].value for name in names] == [given_data[name].value for name in names]
        assert data.InstanceNumber == number


def test_files_sort_by_name_as_by_position(tmp_path, source, dicom):
    series = source(array=np.tile(dicom.body_array(3), (2, 1, 1)))
    write_synthetic_series(synthetic(series), series, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [f"{n:02d}.dcm" for n in range(1, 13)]


@pytest.mark.filterwarnings("ignore:The string .* is unlikely to represent the intended person name")
def test_frames_of_one_file_become_files(tmp_path, source):
    from highdicom.legacy import LegacyConvertedEnhancedMRImage

    slices = []
    for file in sorted(source().folder.iterdir()):
        data = pydicom.dcmread(file)
        data.PatientBirthDate = data.PatientSex = data.AccessionNumber = data.StudyTime = ""
        data.PatientPosition, data.ImageType = "HFP", ["ORIGINAL", "PRIMARY", "OTHER"]
        slices.append(data)
    (tmp_path / "frames").mkdir()
    LegacyConvertedEnhancedMRImage(slices, "1.2.9", 9, "1.2.9.1", 1).save_as(tmp_path / "frames/all.dcm")
    for name in ("source", "frames"):
        series = series_of(tmp_path / name)
        write_synthetic_series(synthetic(series), series, tmp_path / f"{name}_out")
    ours, theirs = read_folder(tmp_path / "frames_out"), read_folder(tmp_path / "source_out")
    assert same_geometry(ours, theirs, tolerance=1e-4)
    np.testing.assert_array_equal(ours.array, theirs.array)


WIDTH_32 = {"width": 32, "allow_nan": False, "allow_infinity": False}


@settings(deadline=None, max_examples=200)
@given(arrays(np.float32, st.integers(1, 20), elements=st.floats(-(2.0**40), 2.0**40, **WIDTH_32)))
@example(np.float32([7.5, 7.5]))
@example(np.float32([1e12, 1e12]))
@example(np.float32([0, 65535]))
@example(np.float32([-32768, 32767]))
@example(np.float32([32767.4, -32768.4]))
@example(np.float32([-1, 65535]))
@example(np.float32([-1e-30, 3e-30]))
@example(np.float32([0, 0.5, WIDE_SPAN]))
def test_stored_values_are_exact_to_half_a_step(values):
    stored, slope, intercept = to_stored(values)
    assert stored.dtype in (np.int16, np.uint16) and max(map(len, (slope, intercept))) <= 16
    step = float(slope)
    apart = np.abs(stored * step + float(intercept) - values.astype(np.float64))
    assert step > 0 and apart.max() <= step / 2 * (1 + 1e-6)
    span = float(values.max()) - float(values.min())
    assert step == 1 or step <= 1.001 * max(span, MIN_SPAN * abs(float(values.max()))) / LEVELS


@pytest.mark.parametrize(
    "values, kind, slope",
    [
        ([0, 300.2, 4000.7], np.int16, "1"),
        ([0, 60000.2], np.uint16, "1"),
        ([3, 4, 9], np.int16, "1"),
        ([0, 0.5, 1], np.int16, "1.538e-05"),
        ([-5, 60000], np.int16, "0.9232"),
    ],
)
def test_the_step_is_1_if_values_allow(values, kind, slope):
    stored, found, _ = to_stored(np.float32(values))
    assert (stored.dtype, found) == (kind, slope)


def plant(source) -> Series:
    """A series with secrets in attributes, in a sequence and in a private element."""
    series, request = source(**SECRETS), pydicom.Dataset()
    request.RequestedProcedureDescription = "nested secret"
    for file in series.folder.iterdir():
        data = pydicom.dcmread(file)
        data.RequestAttributesSequence = [request]
        data.private_block(0x0029, "SIEMENS OF MERCY", create=True).add_new(1, "LO", "private Jane")
        data.save_as(file)
    return series_of(series.folder)


def test_no_attribute_identifies_the_patient(tmp_path, source):
    series = plant(source)
    given_data, original = pydicom.dcmread(series.head.file), series.head.file.read_bytes()
    texts = [text for value in SECRETS.values() for text in ([value] if isinstance(value, str) else value[2:])]
    texts += ["Jane", "Doe", "Mercy", "nested secret", "SIEMENS", "ACME"]
    texts += [given_data[f"{name}InstanceUID"].value for name in ("Study", "Series", "SOP")]
    texts.append(given_data.FrameOfReferenceUID)
    assert not [text for text in texts if text.encode() not in original], "a secret that is not in the source"
    write_synthetic_series(synthetic(series), series, tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert len(files) == len(series.slices)
    for file in files:
        data = pydicom.dcmread(file)
        pixels, content = data.PixelData, file.read_bytes()
        assert content.endswith(pixels)  # random values, which may spell any text
        header = content.removesuffix(pixels).lower()
        assert not [text for text in texts if text.lower().encode() in header]
        assert not [element for element in data.iterall() if element.tag.is_private]
        assert not [element for element in data.iterall() if element.VR in ("DA", "TM", "DT") and element.value]


def test_a_file_states_that_it_is_synthetic(tmp_path, source):
    series = source()
    write_synthetic_series(synthetic(series), series, tmp_path / "out")
    for data in written(tmp_path / "out"):
        assert data.ImageType[:2] == ["DERIVED", "SECONDARY"] and data.SyntheticData == "YES"
        assert "neural network" in data.DerivationDescription and "Not for diagnosis" in data.DerivationDescription
        assert (data.BurnedInAnnotation, data.PatientIdentityRemoved) == ("NO", "YES")
        (code,) = data.DeidentificationMethodCodeSequence
        assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
        assert data.SeriesDescription == "synthetic post-contrast" and data.LossyImageCompression == "00"
        assert len(data.PatientID) == 16 and data.PatientName == data.PatientID
        assert data.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_it_is_an_mr_image_by_the_standard(tmp_path, source):
    """Type 1 attributes of the mandatory modules have a value, type 2 ones are present; all values are valid."""
    standard = package_files("highdicom") / "_standard"
    kinds, modules, attributes = (
        json.loads((standard / f"{name}.json").read_text())
        for name in ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    )
    mandatory = [module["key"] for module in modules[kinds[MRImageStorage]] if module["usage"] == "M"]
    demanded = {
        one["keyword"]: one["type"]
        for key in mandatory
        for one in attributes[key]
        if not one["path"] and one["type"] in ("1", "2")
    }
    assert len(mandatory) > 10 and len(demanded) > 30
    series = source()
    write_synthetic_series(synthetic(series), series, tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        with pydicom.config.disable_value_validation():
            data = pydicom.dcmread(file)
        assert not [name for name in demanded if name not in data]
        assert not [name for name, kind in demanded.items() if kind == "1" and data[name].value in (None, "", [])]
        pydicom.dataset.validate_file_meta(data.file_meta)
        for element in data.iterall():
            if element.VR not in ("OW", "SQ"):
                pydicom.DataElement(element.tag, element.VR, element.value, validation_mode=pydicom.config.RAISE)


def test_a_second_run_gives_the_same_bytes(tmp_path, source):
    series = source()
    for name in ("a", "b"):
        write_synthetic_series(synthetic(series), series, tmp_path / name)
    pairs = [(tmp_path / "a" / file.name, file) for file in (tmp_path / "b").iterdir()]
    assert len(pairs) == 6 and all(one.read_bytes() == other.read_bytes() for one, other in pairs)


def test_series_of_one_study_stay_together(tmp_path, dicom):
    for name, patient in (("pre", "P1"), ("again", "P1"), ("other", "P2")):
        dicom.save_series(tmp_path / name, dicom.body_array(2), patient=patient)
    series = series_of(tmp_path / "pre")
    write_synthetic_series(synthetic(series, 2), series, tmp_path / "changed")
    for name in ("pre", "again", "other"):
        series = series_of(tmp_path / name)
        write_synthetic_series(synthetic(series), series, tmp_path / f"{name}_out")
    first, again, other, changed = (
        written(tmp_path / name)[0] for name in ("pre_out", "again_out", "other_out", "changed")
    )
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first[name].value == again[name].value == changed[name].value != other[name].value
    series = {one.SeriesInstanceUID for one in (first, again, other, changed)}
    images = {
        one.SOPInstanceUID
        for folder in ("pre_out", "again_out", "other_out", "changed")
        for one in written(tmp_path / folder)
    }
    assert len(series) == 4 and len(images) == 24


@pytest.mark.parametrize(
    "stated, syntax, expected",
    [
        (None, ExplicitVRLittleEndian, "00"),
        ("00", JPEG2000, "00"),
        (None, JPEG2000, "01"),
        ("01", ExplicitVRLittleEndian, "01"),
    ],
)
def test_lossy_compression_of_the_source_is_stated(tmp_path, source, stated, syntax, expected):
    series = source()
    volume = synthetic(series)
    data = pydicom.dcmread(series.slices[3].file)
    del data.PixelData  # which is not read once there is a volume
    data.LossyImageCompression, data.file_meta.TransferSyntaxUID = stated or "", syntax
    data.save_as(series.slices[3].file)
    write_synthetic_series(volume, series, tmp_path / "out")
    assert {one.LossyImageCompression for one in written(tmp_path / "out")} == {expected}


def test_an_empty_folder_is_used(tmp_path, source, monkeypatch):
    series = source()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    write_synthetic_series(synthetic(series), series, Path())
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_a_folder_that_is_not_empty_is_not_changed(tmp_path, source):
    series = source()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty") as caught:
        write_synthetic_series(synthetic(series), series, tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.suffix != ".dcm") == ["notes.txt", "out", "source"]


def test_a_full_disk_leaves_no_file(tmp_path, source, monkeypatch):
    series, real = source(), Path.write_bytes

    def write(path, content):
        if path.name == "4.dcm":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError) as caught:
        write_synthetic_series(synthetic(series), series, tmp_path / "out")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_nan_is_refused(tmp_path, source):
    series = source()
    volume = synthetic(series)
    volume.array[2, 3, 4] = np.nan
    with pytest.raises(InputError, match="not finite"):
        write_synthetic_series(volume, series, tmp_path / "out")
    assert not (tmp_path / "out").exists()
