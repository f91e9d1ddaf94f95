"""The values of wanted elements by their names in the DICOM dictionary (PS3.6), whatever the encoding of the file."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from pre2post.dicom.file import UNDEFINED, NotWhole, careful

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
GROUPS = (  # functional groups (PS3.3 C.7.6.16) that hold one of NAMES, in one item each
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
LETTERS = {"US": "H", "UL": "I", "FD": "d"}  # binary value representations as the module struct calls them


@cache
def wanted_tags() -> frozenset[int]:
    """Tags of the elements that are read; all others are passed."""
    from pydicom.datadict import tag_for_keyword

    return frozenset(map(tag_for_keyword, (*NAMES, *GROUPS, SHARED, PER_FRAME)))


@dataclass(frozen=True)
class Attributes:
    """Elements by tag as pydicom finds them, and the `encodings` of their texts.

    Methods raise NotWhole for a value that is cut, ValueError for one of another kind than asked.
    """

    elements: Mapping[int, "DataElement | RawDataElement"]
    encodings: Sequence[str]

    def text(self, name: str) -> str:
        """Empty where there is none, line breaks as spaces."""
        from pydicom.charset import decode_bytes

        value = self._bytes(name)
        with careful():
            text = decode_bytes(value, self.encodings, set())
        return "".join(sign if sign.isprintable() else " " for sign in text).strip()

    def words(self, name: str) -> tuple[str, ...]:
        """Values between backslashes; none at all where there is no text."""
        text = self.text(name)
        return tuple(word.strip() for word in text.split("\\")) if text else ()

    def numbers(self, name: str) -> tuple[float, ...]:
        """Decimal numbers between backslashes, finite ones."""
        numbers = tuple(float(word) for word in self.words(name))
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} {numbers} instead of finite numbers")
        return numbers

    def number(self, name: str) -> float | None:
        """One decimal or binary number."""
        from pydicom.datadict import dictionary_VR, tag_for_keyword

        letter = LETTERS.get(dictionary_VR(tag_for_keyword(name)))
        if letter:
            return self._unpack(name, letter)
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def padding(self, name: str, signed: bool) -> int | None:
        """A stored value of a pixel."""
        return self._unpack(name, "h" if signed else "H")

    def moment(self, name: str) -> float | None:
        """Seconds since the year 1 of a date and time in one; None where there is none."""
        text = self.text(name)
        return _day(text[:8]) + _seconds(text[8:]) if len(text) > len("YYYYMMDD") else None

    def time(self, name: str, dates: Iterable[str]) -> float | None:
        """Seconds since the year 1 of a time on the first of the dates that is there, of the day alone without any."""
        text = self.text(name)
        return _day(self.first(dates)) + _seconds(text) if text else None

    def first(self, names: Iterable[str]) -> str:
        """The first text that is there."""
        return next(filter(None, map(self.text, names)), "")

    def _unpack(self, name: str, letter: str) -> int | float | None:
        value = self._bytes(name)
        if not value:
            return None
        if len(value) != struct.calcsize(letter):
            raise ValueError(f"{len(value)} bytes in the element {name}")
        return struct.unpack(("<" if self._element(name).is_little_endian else ">") + letter, value)[0]

    def _bytes(self, name: str) -> bytes:
        element = self._element(name)
        if element is None:
            return b""
        _check_whole(element)
        if not isinstance(element.value, bytes | None):
            raise ValueError(f"a sequence in the element {name}")
        return element.value or b""

    def _element(self, name: str) -> "DataElement | RawDataElement | None":
        from pydicom.datadict import tag_for_keyword

        return self.elements.get(tag_for_keyword(name))


def attributes_of(data: "Dataset") -> Attributes:
    """What holds for the whole file."""
    return Attributes(dict(data.items()), data.original_character_set)


def frames_of(data: "Dataset") -> list[Attributes]:
    """What holds for each frame: its own functional groups before the shared ones before the rest."""
    common, encodings = dict(data.items()), data.original_character_set
    for group in _items(data, SHARED):
        common |= _flat(group)
    return [Attributes(common | _flat(group), encodings) for group in _items(data, PER_FRAME)]


def _flat(group: "Dataset") -> dict[int, "DataElement | RawDataElement"]:
    """The elements of the one item of each functional group."""
    return {tag: element for name in GROUPS for item in _items(group, name)[:1] for tag, element in item.items()}


@careful()
def _items(data: "Dataset", name: str) -> Sequence["Dataset"]:
    from pydicom.sequence import Sequence as Items

    if name not in data:
        return []
    _check_whole(data.get_item(name, keep_deferred=True))
    items = data[name].value
    if not isinstance(items, Items):
        raise ValueError(f"no sequence in the element {name}")
    return items


def _check_whole(element: "DataElement | RawDataElement") -> None:
    """pydicom gives what there is, and None for an element that says to be longer than the file."""
    if element.is_raw and element.length not in (UNDEFINED, len(element.value or b"")):
        raise NotWhole(f"its end inside the element {element.tag}", f"{element.length} bytes there")


def _day(text: str) -> float:
    """Seconds from the year 1 to the begin of a DICOM date (YYYYMMDD, in old files with points); 0 if it is none."""
    digits = text.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal() * 86400.0
    except ValueError:
        return 0.0


def _seconds(text: str) -> float:
    """A DICOM time (HHMMSS.ffffff, shorter forms and a time zone behind it allowed) in seconds of the day."""
    digits = text.replace(":", "").split("+")[0].split("-")[0].strip()
    if not digits.replace(".", "0", 1).isdecimal():
        raise ValueError("a time that is no number")
    return int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60 + float(digits[4:] or 0)
