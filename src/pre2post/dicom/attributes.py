"""Values of DICOM elements by their names in the dictionary (PS3.6), independent of the encoding of the file."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from pre2post.dicom.file import UNDEFINED, IncompleteFile, pydicom_errors

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
GROUPS = (  # functional groups (PS3.3 C.7.6.16) with elements of NAMES; each has one item
    "MRModifierSequence",
    "CardiacSynchronizationSequence",
    "FrameContentSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "TemporalPositionSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
)
NAMES = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "Modality",
    "Manufacturer",
    "SeriesDescription",
    "ManufacturerModelName",
    "PatientID",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "MagneticFieldStrength",
    "ProtocolName",
    "TriggerTime",
    "PulseSequenceName",
    "EchoPulseSequence",
    "SpectrallySelectedSuppression",
    "FrameAcquisitionDateTime",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalCardiacTriggerDelayTime",
    "TemporalPositionTimeOffset",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
)
STRUCT_FORMATS = {"US": "H", "UL": "I", "FD": "d"}  # binary value representations in the module struct


@cache
def wanted_tags() -> frozenset[int]:
    """Return the tags of the elements to read; all others are skipped."""
    return frozenset(map(_tag, (*NAMES, *GROUPS, SHARED, PER_FRAME)))


@dataclass(frozen=True)
class Attributes:
    """Elements by tag, as pydicom reads them, and the `encodings` of their texts.

    Methods raise IncompleteFile for a truncated value, ValueError for a value of another kind.
    """

    elements: Mapping[int, "DataElement | RawDataElement"]
    encodings: Sequence[str]

    def text(self, name: str) -> str:
        """Return a text, "" if it is missing, with line breaks as spaces."""
        from pydicom.charset import decode_bytes

        value = self._bytes(name)
        with pydicom_errors():
            text = decode_bytes(value, self.encodings, set())
        return "".join(sign if sign.isprintable() else " " for sign in text).strip()

    def words(self, name: str) -> tuple[str, ...]:
        """Return the values between backslashes, none for a missing text."""
        text = self.text(name)
        return tuple(word.strip() for word in text.split("\\")) if text else ()

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the decimal numbers between backslashes. Raises ValueError for NaN and infinity."""
        numbers = tuple(float(word) for word in self.words(name))
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} {numbers} instead of finite numbers")
        return numbers

    def number(self, name: str) -> float | None:
        """Return one decimal or binary number, None if it is missing."""
        from pydicom.datadict import dictionary_VR

        letter = STRUCT_FORMATS.get(dictionary_VR(_tag(name)))
        if letter:
            return self._unpack(name, letter)
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def integer(self, name: str) -> int | None:
        """Return one binary integer (US or UL), None if it is missing."""
        value = self.number(name)
        return None if value is None else int(value)

    def padding(self, name: str, signed: bool) -> int | None:
        """Return a stored value of a pixel, None if it is missing."""
        value = self._unpack(name, "h" if signed else "H")
        return None if value is None else int(value)

    def moment(self, name: str) -> float | None:
        """Return a combined date and time in seconds since the year 1, None if it is missing."""
        text = self.text(name)
        return _day(text[:8]) + _seconds(text[8:]) if len(text) > len("YYYYMMDD") else None

    def time(self, name: str, dates: Iterable[str]) -> float | None:
        """Return a time in seconds since the year 1, on the first date present, or since midnight; None if missing."""
        text = self.text(name)
        return _day(self.first(dates)) + _seconds(text) if text else None

    def first(self, names: Iterable[str]) -> str:
        """Return the first text that is present, else ""."""
        return next(filter(None, map(self.text, names)), "")

    def _unpack(self, name: str, letter: str) -> int | float | None:
        value = self._bytes(name)
        if not value:
            return None
        if len(value) != struct.calcsize(letter):
            raise ValueError(f"{len(value)} bytes in the element {name}")
        little = getattr(self._element(name), "is_little_endian", True)  # values are bytes only in raw elements
        return struct.unpack(("<" if little else ">") + letter, value)[0]

    def _bytes(self, name: str) -> bytes:
        element = self._element(name)
        if element is None:
            return b""
        _check_complete(element)
        if not isinstance(element.value, bytes | None):
            raise ValueError(f"a sequence in the element {name}")
        return element.value or b""

    def _element(self, name: str) -> "DataElement | RawDataElement | None":
        return self.elements.get(_tag(name))


def attributes_of(data: "Dataset") -> Attributes:
    """Return the elements of the file outside its functional groups."""
    return Attributes(dict(data.items()), data.original_character_set)


def frames_of(data: "Dataset") -> list[Attributes]:
    """Return the elements of each frame; its own functional groups override the shared ones, these all others."""
    common: dict[int, DataElement | RawDataElement] = dict(data.items())
    encodings = data.original_character_set
    for group in _items(data, SHARED):
        common |= _flat(group)
    return [Attributes(common | _flat(group), encodings) for group in _items(data, PER_FRAME)]


def _tag(name: str) -> int:
    """Return the tag of a name in the DICOM dictionary."""
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(name)
    if tag is None:
        raise KeyError(name)
    return tag


def _flat(group: "Dataset") -> dict[int, "DataElement | RawDataElement"]:
    """Return the elements of the one item of each functional group."""
    return {tag: element for name in GROUPS for item in _items(group, name)[:1] for tag, element in item.items()}


@pydicom_errors()
def _items(data: "Dataset", name: str) -> Sequence["Dataset"]:
    from pydicom.sequence import Sequence as Items

    if name not in data:
        return []
    _check_complete(data.get_item(name, keep_deferred=True))
    items = data[name].value
    if not isinstance(items, Items):
        raise ValueError(f"no sequence in the element {name}")
    return items


def _check_complete(element: "DataElement | RawDataElement") -> None:
    """Check that an element is complete: pydicom returns a part of it, or None if it extends beyond the file."""
    length = getattr(element, "length", UNDEFINED)  # only raw elements have one
    if element.is_raw and length not in (UNDEFINED, len(element.value or b"")):
        raise IncompleteFile(f"its end inside the element {element.tag}", f"{length} bytes there")


def _day(text: str) -> float:
    """Return a DICOM date (YYYYMMDD, in old files with points) in seconds since the year 1; 0 if it is invalid."""
    digits = text.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal() * 86400.0
    except ValueError:
        return 0.0


def _seconds(text: str) -> float:
    """Return a DICOM time (HHMMSS.ffffff or shorter, optional time zone) in seconds since midnight."""
    digits = text.replace(":", "").split("+")[0].split("-")[0].strip()
    if not digits.replace(".", "0", 1).isdecimal():
        raise ValueError("a time that is not a number")
    return int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60 + float(digits[4:] or 0)
