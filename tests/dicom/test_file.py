"""Wanted elements are found in every encoding, and damaged files give a clear error without a warning."""

import tempfile
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pre2post.core.errors import InputError
from pre2post.dicom import file as dicom_file
from pre2post.dicom.attributes import (
    GROUPS,
    NAMES,
    PER_FRAME,
    SHARED,
    STRUCT_FORMATS,
    Attributes,
    attributes_of,
    wanted_tags,
)
from pre2post.dicom.file import IncompleteFile, NotDicom, open_dicom, read_elements
from pre2post.dicom.header import read_headers

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
words = st.text("ABXYZ 019_", min_size=1, max_size=12).map(str.strip).filter(bool)


def save(path: Path, data: Dataset, syntax) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = syntax, "1.2", "1.3"
    pydicom.dcmwrite(
        path,
        FileDataset(None, data, preamble=bytes(128), file_meta=meta),
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )


def load(path: Path) -> Attributes:
    with open_dicom(path) as source:
        return attributes_of(read_elements(source, wanted_tags())[0])


def test_names_are_in_the_dictionary_and_identify_no_person():
    assert None not in wanted_tags() and len(wanted_tags()) == len({*NAMES, *GROUPS, SHARED, PER_FRAME})
    kinds = {pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(name)) for name in NAMES}
    assert kinds == {*STRUCT_FORMATS, "CS", "UI", "DA", "DT", "TM", "LO", "SH", "DS", "IS", "US or SS"}
    assert {
        pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(name)) for name in (*GROUPS, SHARED, PER_FRAME)
    } == {"SQ"}


@settings(max_examples=40, deadline=None)
@given(
    syntax=st.sampled_from(SYNTAXES),
    description=words,
    options=st.lists(words, max_size=3),
    rows=st.integers(0, 65535),
    depth=st.integers(0, 4),
    undefined=st.booleans(),
    blob=st.binary(max_size=300),
)
def test_wanted_elements_are_found_between_others(syntax, description, options, rows, depth, undefined, blob):
    data = Dataset()
    data.SeriesDescription, data.ScanOptions, data.Rows = description, options, rows
    data.TemporalPositionTimeOffset = 1.25
    data.private_block(0x9, "MAKER", create=True).add_new(1, "OB", blob + bytes(len(blob) % 2))
    inner = Dataset()
    inner.Rows, inner.SeriesDescription = 3, "not this one"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedImageSequence, inner = [inner, Dataset()], outer
    data.ReferencedImageSequence = [inner]
    for element in data.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        save(path, data, syntax)
        found = load(path)
    assert found.text("SeriesDescription") == description
    assert found.words("ScanOptions") == tuple(options)
    assert (found.number("Rows"), found.number("TemporalPositionTimeOffset")) == (rows, 1.25)


def test_unknown_sequences_of_undefined_length_are_skipped(tmp_path):
    data = Dataset()
    data.Rows = 7
    save(tmp_path / "x", data, ExplicitVRLittleEndian)
    content = (tmp_path / "x").read_bytes()
    rows = content.index(b"\x28\x00\x10\x00US")
    unknown = (
        b"\x09\x00\x02\x10UN\0\0\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        + b"\x28\x00\x10\x00\x02\0\0\0\x09\0"
        + b"\xfe\xff\x0d\xe0\0\0\0\0"
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    (tmp_path / "x").write_bytes(content[:rows] + unknown + content[rows:])
    assert load(tmp_path / "x").number("Rows") == 7


@pytest.mark.parametrize(
    "characters, text",
    [
        ("ISO_IR 192", "Brust \u4e73\u623f"),
        ("ISO_IR 100", "S\u00e9quence"),
        ("ISO_IR 144", "\u041c\u0420\u0422"),
        (["", "ISO 2022 IR 87"], "\u4e73\u623f"),
        (None, "plain"),
    ],
)
def test_texts_in_any_character_set(tmp_path, characters, text):
    data = Dataset()
    if characters:
        data.SpecificCharacterSet = characters
    data.SeriesDescription = text
    save(tmp_path / "x", data, ExplicitVRLittleEndian)
    assert load(tmp_path / "x").text("SeriesDescription") == text


def test_an_invalid_character_set_is_ignored(tmp_path, recwarn):
    data = Dataset()
    data.SpecificCharacterSet, data.SeriesDescription = "ISO_IR 100", "plain"
    save(tmp_path / "x", data, ExplicitVRLittleEndian)
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes().replace(b"ISO_IR 100", b"\xff\xfe\x90 IR 100"))
    assert load(tmp_path / "x").text("SeriesDescription") == "plain"
    assert not list(recwarn)


def test_another_encoding_than_stated_is_read_without_a_warning(tmp_path, recwarn):
    data = Dataset()
    data.Rows, data.SpecificCharacterSet = 7, "ISO_IR 100"
    save(tmp_path / "x", data, ImplicitVRLittleEndian)
    content = (tmp_path / "x").read_bytes()
    old, new = b"\x12\x001.2.840.10008.1.2\0", b"\x14\x001.2.840.10008.1.2.1\0"
    assert content.count(old) == 1
    (tmp_path / "x").write_bytes(content.replace(old, new).replace(b"ISO_IR 100", b"no such   "))
    assert load(tmp_path / "x").number("Rows") == 7
    assert not list(recwarn)


def test_elements_longer_than_the_file_are_reported(tmp_path):
    data = Dataset()
    data.SeriesDescription = "dyn"
    save(tmp_path / "x", data, ImplicitVRLittleEndian)
    content = (tmp_path / "x").read_bytes()
    for length in (6, 0x7FFFFFFF):
        (tmp_path / "x").write_bytes(content[:-8] + length.to_bytes(4, "little") + b"dyn ")
        with pytest.raises(IncompleteFile, match=r"inside the element \(0008,103E\)"):
            load(tmp_path / "x").text("SeriesDescription")


def test_deeply_nested_sequences_are_refused(tmp_path):
    save(tmp_path / "x", Dataset(), ExplicitVRLittleEndian)
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes() + nested)
    with pytest.raises(ValueError, match="recursion"):
        load(tmp_path / "x")


def test_a_deflate_bomb_is_refused(tmp_path, monkeypatch):
    data = Dataset()
    data.Rows, data.PixelData = 7, bytes(100_000)
    data["PixelData"].VR = "OB"
    save(tmp_path / "x", data, DeflatedExplicitVRLittleEndian)
    assert load(tmp_path / "x").number("Rows") == 7
    monkeypatch.setattr(dicom_file, "MAX_INFLATED", 50_000)
    with pytest.raises(ValueError, match="inflates to more"):
        load(tmp_path / "x")


@settings(max_examples=200, deadline=None)
@given(
    cut=st.integers(0, 2000),
    changes=st.lists(st.tuples(st.integers(128, 2000), st.integers(0, 255)), max_size=6),
    syntax=st.sampled_from(SYNTAXES),
)
@pytest.mark.filterwarnings("error")
def test_damaged_files_are_read_or_refused(damaged, cut, changes, syntax):
    content = bytearray(damaged[syntax])
    for place, value in changes:
        content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        path.write_bytes(content[: len(content) - cut])
        try:
            (header,) = read_headers(path, "P1")
            assert sum(length for _, length in header.pixels.pieces) == 2 * header.size[0] * header.size[1]
        except InputError as error:
            assert str(path) in str(error)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory, dicom):
    folder = tmp_path_factory.mktemp("whole")
    tags = {
        "SOPInstanceUID": "1.3",
        "StudyInstanceUID": "1.4",
        "SeriesInstanceUID": "1.5",
        "PixelSpacing": [0.7, 0.7],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    data, found = dicom.slice_dataset(dicom.body_array(0)[0], (0, 0, 0), tags), {}
    for syntax in SYNTAXES:
        data.PixelData = dicom.body_array(0)[0].astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
        save(folder / syntax, Dataset(data), syntax)
        found[syntax] = (folder / syntax).read_bytes()
    return found


def test_a_file_without_the_prefix_is_not_dicom(tmp_path):
    (tmp_path / "x").write_bytes(bytes(500))
    with pytest.raises(NotDicom), open_dicom(tmp_path / "x"):
        pass
