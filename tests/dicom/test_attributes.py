"""Values of elements: texts, numbers, dates and times, in either byte order; values of another kind are refused."""

from datetime import date, datetime

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pre2post.dicom.attributes import Attributes, attributes_of, wanted_tags
from pre2post.dicom.file import IncompleteFile, open_dicom, read_elements

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
DAY = 86400.0


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """load(syntax, change, **values) -> the attributes of a file with these values; `change` replaces bytes."""

    def from_file(syntax=ExplicitVRLittleEndian, change=(b"", b""), **values) -> Attributes:
        file = tmp_path_factory.mktemp("attributes") / "x.dcm"
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = syntax, "1.2", "1.3"
        data = Dataset()
        with pydicom.config.disable_value_validation():
            for name, value in values.items():
                setattr(data, name, value)
            pydicom.dcmwrite(
                file,
                FileDataset(None, data, preamble=bytes(128), file_meta=meta),
                enforce_file_format=True,
                implicit_vr=syntax == ImplicitVRLittleEndian,
                little_endian=syntax != ExplicitVRBigEndian,
            )
        file.write_bytes(file.read_bytes().replace(*change) if change[0] else file.read_bytes())
        with open_dicom(file) as source:
            return attributes_of(read_elements(source, wanted_tags())[0])

    return from_file


@given(syntax=st.sampled_from(SYNTAXES), rows=st.integers(0, 65535), offset=st.floats(allow_nan=False))
def test_binary_numbers_are_read_in_either_byte_order(load, syntax, rows, offset):
    found = load(syntax, Rows=rows, TemporalPositionTimeOffset=offset, TemporalPositionIndex=70000)
    assert (found.integer("Rows"), found.number("TemporalPositionTimeOffset")) == (rows, offset)
    assert found.integer("TemporalPositionIndex") == 70000
    assert found.integer("Columns") is None and found.number("TriggerTime") is None


@pytest.mark.parametrize("signed, value", [(False, 0), (False, 65535), (True, -32768), (True, 32767)])
def test_padding_has_the_sign_of_the_pixels(load, signed, value):
    assert load(PixelRepresentation=int(signed), PixelPaddingValue=value).padding("PixelPaddingValue", signed) == value


def test_decimal_numbers_are_read_and_words_are_stripped(load):
    found = load(PixelSpacing=["0.75", "1e1"], RescaleSlope="2.5", ImageType=["ORIGINAL ", "PRIMARY"])
    assert found.numbers("PixelSpacing") == (0.75, 10.0) and found.number("RescaleSlope") == 2.5
    assert found.words("ImageType") == ("ORIGINAL", "PRIMARY") and found.words("ScanOptions") == ()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "one", "1,5"])
def test_decimal_texts_that_are_not_finite_numbers_are_refused(load, text):
    found = load(change=(b"7.25", text.encode().ljust(4)), RescaleSlope="7.25")
    with pytest.raises(ValueError):
        found.number("RescaleSlope")


def test_a_number_of_the_wrong_length_is_refused(load):
    found = load(change=(b"US\2\0\7\0", b"US\4\0\7\0\0\0"), Rows=7)
    with pytest.raises(ValueError, match="4 bytes in the element Rows"):
        found.integer("Rows")


def test_a_truncated_value_is_refused(load):
    found = load(change=(b"LO\4\0dyn ", b"LO\x40\0dyn "), SeriesDescription="dyn")
    with pytest.raises(IncompleteFile, match=r"inside the element \(0008,103E\)"):
        found.text("SeriesDescription")


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("09", 32400),
        ("0930", 34200),
        ("093015.25", 34215.25),
        ("09:30:15", 34215),
        ("093015+0100", 34215),
        ("24", 86400),
    ],
)
def test_times_are_seconds_of_the_day(load, text, seconds):
    found = load(AcquisitionTime=text, StudyDate="20200102")
    day = date(2020, 1, 2).toordinal() * DAY
    assert found.time("AcquisitionTime", ("AcquisitionDate", "StudyDate")) == day + seconds
    assert found.time("AcquisitionTime", ("AcquisitionDate",)) == seconds  # without a date
    assert found.time("ContentTime", ("StudyDate",)) is None


@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_a_moment_is_in_seconds_since_the_year_1(load, moment):
    found = load(AcquisitionDateTime=moment.strftime("%Y%m%d%H%M%S.%f")).moment("AcquisitionDateTime")
    assert found == pytest.approx((moment - datetime.min).total_seconds() + DAY, abs=1e-4)


@pytest.mark.parametrize("text, day", [("2020.01.02", date(2020, 1, 2)), ("20201332", None), ("today", None)])
def test_old_dates_are_read_and_invalid_ones_ignored(load, text, day):
    seconds = day.toordinal() * DAY if day else 0
    assert load(StudyDate=text, ContentTime="01").time("ContentTime", ("StudyDate",)) == seconds + 3600


@pytest.mark.parametrize("text", ["morning", "1x", "::"])
def test_a_time_that_is_not_a_number_is_refused(load, text):
    with pytest.raises(ValueError):
        load(ContentTime=text).time("ContentTime", ())


def test_the_first_present_text_counts(load):
    found = load(SeriesDate="20200102", StudyDate="20200101")
    assert found.first(("AcquisitionDate", "SeriesDate", "StudyDate")) == "20200102"
    assert found.first(("ContentDate",)) == ""
