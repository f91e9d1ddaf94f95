"""The values of wanted elements by their names in the DICOM dictionary (PS3.6), whatever the encoding of the file."""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from imaging.dicom_elements import name_of

TEXTS = {
    "SpecificCharacterSet": 0x00080005, "ImageType": 0x00080008, "SOPClassUID": 0x00080016, "StudyDate": 0x00080020,
    "SeriesDate": 0x00080021, "AcquisitionDate": 0x00080022, "ContentDate": 0x00080023,
    "AcquisitionDateTime": 0x0008002A, "AcquisitionTime": 0x00080032, "ContentTime": 0x00080033,
    "Modality": 0x00080060, "Manufacturer": 0x00080070, "SeriesDescription": 0x0008103E,
    "ManufacturerModelName": 0x00081090, "PatientID": 0x00100020, "ScanningSequence": 0x00180020,
    "SequenceVariant": 0x00180021, "ScanOptions": 0x00180022, "MRAcquisitionType": 0x00180023,
    "SequenceName": 0x00180024, "MagneticFieldStrength": 0x00180087, "ProtocolName": 0x00181030,
    "TriggerTime": 0x00181060, "PulseSequenceName": 0x00189005, "EchoPulseSequence": 0x00189008,
    "SpectrallySelectedSuppression": 0x00189025, "FrameAcquisitionDateTime": 0x00189074,
    "StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E, "SeriesNumber": 0x00200011,
    "InstanceNumber": 0x00200013, "ImagePositionPatient": 0x00200032, "ImageOrientationPatient": 0x00200037,
    "FrameOfReferenceUID": 0x00200052, "TemporalPositionIdentifier": 0x00200100,
    "PhotometricInterpretation": 0x00280004, "NumberOfFrames": 0x00280008, "PixelSpacing": 0x00280030,
    "RescaleIntercept": 0x00281052, "RescaleSlope": 0x00281053}
BINARY = {  # with the letter that the module struct has for their representation
    "TemporalPositionIndex": (0x00209128, "I"), "NominalCardiacTriggerDelayTime": (0x00209153, "d"),
    "TemporalPositionTimeOffset": (0x0020930D, "d"), "SamplesPerPixel": (0x00280002, "H"), "Rows": (0x00280010, "H"),
    "Columns": (0x00280011, "H"), "BitsAllocated": (0x00280100, "H"), "BitsStored": (0x00280101, "H"),
    "HighBit": (0x00280102, "H"), "PixelRepresentation": (0x00280103, "H")}
PADDING = {"PixelPaddingValue": 0x00280120, "PixelPaddingRangeLimit": 0x00280121}  # signed where the pixels are
SHARED, PER_FRAME = 0x52009229, 0x52009230
GROUPS = frozenset({  # functional groups (PS3.3 C.7.6.16) that hold one of the above, in one item each
    0x00189115, 0x00189118, 0x00209111, 0x00209113, 0x00209116, 0x00209310, 0x00289110, 0x00289145})
SEQUENCES = GROUPS | {SHARED, PER_FRAME}
WANTED = frozenset([*TEXTS.values(), *(tag for tag, _ in BINARY.values()), *PADDING.values(), *SEQUENCES])
UTF_8 = "ISO_IR 192"


@dataclass(frozen=True)
class Attributes:
    """Values by tag, as read_elements gives them. Methods raise ValueError for a value of another kind than asked."""

    values: Mapping[int, bytes]
    order: str = "<"

    def text(self, name: str) -> str:
        """Empty where there is none, line breaks as spaces. In rare character sets letters come out wrong, on which
        nothing depends."""
        value = self.values.get(TEXTS[name], b"")
        try:
            text = value.decode("ascii")
        except UnicodeDecodeError:
            unicode = self.text("SpecificCharacterSet") == UTF_8
            text = value.decode("utf-8", "replace") if unicode else value.decode("latin-1")
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
        if name in BINARY:
            return self._unpack(*BINARY[name])
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def padding(self, name: str, signed: bool) -> int | None:
        """A stored value of a pixel."""
        return self._unpack(PADDING[name], "h" if signed else "H")

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

    def frames(self) -> Iterator["Attributes"]:
        """What holds for each frame: its own functional groups before the shared ones before the rest."""
        common = dict(self.values)
        for group in common.pop(SHARED, []):
            common |= _flat(group)
        for group in common.pop(PER_FRAME, []):
            yield Attributes(common | _flat(group), self.order)

    def _unpack(self, tag: int, letter: str) -> int | float | None:
        value = self.values.get(tag)
        if not value:
            return None
        if len(value) != struct.calcsize(letter):
            raise ValueError(f"{len(value)} bytes in the element {name_of(tag)}")
        return struct.unpack(self.order + letter, value)[0]


def _flat(group: Mapping[int, object]) -> dict[int, bytes]:
    """The elements of the one item of each functional group."""
    return {tag: value for items in group.values() if isinstance(items, list) and items
            for tag, value in items[0].items() if not isinstance(value, list)}


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
