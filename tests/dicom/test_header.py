"""Headers of slices: the attributes of classic and Enhanced files, and files that are not MR images."""

import pydicom
import pytest
from pydicom.dataset import Dataset

from pre2post.dicom.header import NotDicomFile, NotMrImage, read_header, read_headers


def change(file, **tags):
    data = pydicom.dcmread(file)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(file)


def item(**values) -> list[Dataset]:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return [data]


@pytest.fixture
def file(tmp_path, dicom):
    return dicom.save_series(tmp_path, dicom.body_array(0))[0]


def test_the_attributes_of_a_classic_file_are_read_without_persons(tmp_path, dicom):
    tags = {
        "ManufacturerModelName": "Coil \u00e9",
        "SequenceName": "fl3d1",
        "ProtocolName": "breast",
        "ScanningSequence": "GR",
        "SequenceVariant": ["SP", "OSP"],
        "ScanOptions": ["FAST_GEMS", "FS"],
        "MRAcquisitionType": "3D",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientBirthDate": "19600101",
        "PatientAddress": "Elm Street",
    }
    dicom.save_series(tmp_path, dicom.body_array(0), patient="K1", **tags)
    (file, *_) = sorted(tmp_path.iterdir())
    change(file, PatientName="Doe^Jane")
    head = read_header(file, "P1")
    assert (head.model, head.sequence_name, head.protocol) == ("Coil \u00e9", "fl3d1", "breast")
    assert (head.scanning_sequence, head.sequence_variant) == (("GR",), ("SP", "OSP"))
    assert (head.scan_options, head.acquisition_type) == (("FAST_GEMS", "FS"), "3D")
    assert (head.image_type, head.instance, head.temporal) == (("ORIGINAL", "PRIMARY", "OTHER"), 1, None)
    assert (head.manufacturer, head.field_strength, head.patient) == ("ACME", 1.5, "K1")
    assert not any(secret in repr(head) for secret in ("Doe", "19600101", "Elm"))


def test_the_place_of_the_pixels_is_stated(file):
    header = read_header(file, "P1")
    data = pydicom.dcmread(file)
    ((offset, length),) = header.pixels.pieces
    assert file.read_bytes()[offset : offset + length] == data.PixelData
    assert header.size == (data.Columns, data.Rows)
    assert (header.pixels.allocated, header.pixels.bits, header.pixels.signed) == (16, 16, False)
    assert (header.pixels.slope, header.pixels.intercept, header.pixels.padding) == (1, 0, None)


@pytest.mark.parametrize(
    "tags, trigger",
    [
        ({}, None),
        ({"TriggerTime": "250.5"}, 250.5),
        ({"NominalCardiacTriggerDelayTime": 30.0}, 30),
        ({"TemporalPositionTimeOffset": 1.25}, 1250),
        ({"TriggerTime": "7", "TemporalPositionTimeOffset": 1.25}, 7),
    ],
)
def test_the_trigger_time_is_in_milliseconds(file, tags, trigger):
    change(file, **tags)
    assert read_header(file, "P1").trigger == trigger


@pytest.mark.parametrize(
    "pulse, suppression, sequence, options",
    [("SPIN", "NONE", ("SE",), ()), ("BOTH", "FAT", ("SE", "GR"), ("FS",)), ("OTHER", "WATER", (), ())],
)
def test_values_of_enhanced_files_become_those_of_classic_ones(file, pulse, suppression, sequence, options):
    data = pydicom.dcmread(file)
    data.EchoPulseSequence, data.NumberOfFrames = pulse, 1
    data.SharedFunctionalGroupsSequence = item(MRModifierSequence=item(SpectrallySelectedSuppression=suppression))
    data.PerFrameFunctionalGroupsSequence = item(FrameContentSequence=item(TemporalPositionIndex=4))
    data.save_as(file)
    (header,) = read_headers(file, "P1")
    assert (header.scanning_sequence, header.scan_options) == (sequence, options)
    assert (header.instance, header.temporal) == (1, 4)


def test_other_objects_and_other_files_are_told_apart(file, tmp_path):
    change(file, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")
    with pytest.raises(NotMrImage, match="found: CT images; expected: MR"):
        read_headers(file, "P1")
    change(file, SOPClassUID="1.2.3", Modality="SR")
    with pytest.raises(NotMrImage, match=r"SR, SOPClassUID 1\.2\.3"):
        read_headers(file, "P1")
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(NotDicomFile, match=r"case P1, file .*notes\.txt: this is not a DICOM file"):
        read_headers(tmp_path / "notes.txt", "P1")


@pytest.mark.parametrize("name", ["Rows", "Columns", "BitsAllocated", "StudyInstanceUID", "ImagePositionPatient"])
def test_a_missing_attribute_is_named(file, refused, name):
    data = pydicom.dcmread(file)
    del data[name]
    data.save_as(file)
    refused(lambda: read_header(file, "P1"), "case P1", str(file), f"no {name}", "complete DICOM MR slice")
