"""The header of one DICOM MR slice, read and checked before anything trusts its pixels."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import InputError

PIXEL_DATA = (0x7FE0, 0x0010)
UNDEFINED_LENGTH = 0xFFFFFFFF  # encapsulated (compressed) pixel data carries no length, it ends with a delimiter
SEQUENCE_DELIMITER = struct.pack("<HH", 0xFFFE, 0xE0DD)  # PS3.5 section 7.5.1
LONG_FORMS = (b"OB", b"OW", b"UN")  # explicit value representations whose length takes 4 bytes after 2 reserved ones

NEEDED = ("SeriesInstanceUID", "StudyInstanceUID", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient",
          "ImagePositionPatient", "BitsAllocated")
WANTED = ("SOPInstanceUID", "PatientID", "FrameOfReferenceUID", "SeriesDescription", "SeriesNumber", "Modality",
          "AcquisitionTime", "ContentTime", "TriggerTime", "Manufacturer", "MagneticFieldStrength", "SamplesPerPixel",
          "NumberOfFrames")


@dataclass(frozen=True)
class SliceHeader:
    """What the pipeline needs to know of one file. Lengths in mm, times in seconds of the day, trigger time in ms."""

    file: Path
    patient: str
    study: str
    series: str
    frame: str
    size: tuple[int, int]  # columns, rows
    spacing: tuple[float, float]  # between columns, between rows
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    description: str
    number: int
    acquired: float | None
    stored: float | None
    trigger: float | None
    manufacturer: str
    field_strength: float | None  # tesla


def read_header(file: Path, case: str) -> SliceHeader:
    """Reads one file up to its pixels and makes sure that these are all there.

    Raises InputError when the file is no DICOM MR slice, lacks a needed attribute or is truncated.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with open(file, "rb") as stream:
            data = dcmread(stream, stop_before_pixels=True, specific_tags=[*NEEDED, *WANTED])
            _check_attributes(data, file, case)
            _check_pixels(stream, data, file, case)
        return _header(data, file)
    except InvalidDicomError:
        raise InputError("this is not a DICOM file", case=case, file=file, found=f"{file.stat().st_size} other bytes",
                         expected="a DICOM MR slice", todo="remove the file, or fetch it again") from None
    except OSError as error:
        raise InputError("the file cannot be opened", case=case, file=file, found=error.strerror,
                         expected="a DICOM MR slice", todo="fetch the file again, or see to its permissions") from None
    except (ValueError, TypeError, AttributeError, KeyError, EOFError, OverflowError, NotImplementedError) as error:
        raise InputError("the DICOM header cannot be read", case=case, file=file,
                         found=str(error) or type(error).__name__, todo="fetch the file again") from None


def _check_attributes(data, file: Path, case: str) -> None:
    missing = [name for name in NEEDED if data.get(name) in (None, "")]
    if missing:
        raise InputError("the file is truncated or is no image", case=case, file=file, found=f"no {missing[0]}",
                         expected="a whole DICOM MR slice", todo="fetch the file again")
    if data.get("Modality", "MR") != "MR":
        raise InputError("this is not an MR image", case=case, file=file, found=data.Modality, expected="MR")
    for name in ("NumberOfFrames", "SamplesPerPixel"):
        if int(data.get(name) or 1) != 1:
            raise InputError("the file is not one grey slice", case=case, file=file, found=f"{name} {data.get(name)}",
                             expected=f"{name} 1", todo="export the series as classic MR slices")


def _check_pixels(stream: BinaryIO, data, file: Path, case: str) -> None:
    """Looks at the length of the pixel data, because readers may fill what a truncated file lacks with zeros."""
    expected = data.Rows * data.Columns * (data.BitsAllocated // 8)
    present = _pixel_bytes(stream, data)
    if present is None or present < expected:
        found = "no end of the compressed pixels" if present is None else f"{present} bytes of pixels"
        raise InputError("the file is truncated", case=case, file=file, found=found, todo="fetch the file again",
                         expected=f"{expected} bytes for {data.Columns} x {data.Rows} pixels")


def _pixel_bytes(stream: BinaryIO, data) -> int | None:
    """Bytes of pixel data that the file really holds; None for compressed ones whose end is missing.

    The stream stands at the pixel data element. Compressed data with its end in place counts as whole: only a decoder
    can tell more.
    """
    implicit, little = data.original_encoding
    order = "<" if little else ">"
    start = stream.read(8)
    if len(start) < 8 or struct.unpack(order + "HH", start[:4]) != PIXEL_DATA:
        return 0
    word = start[4:8] if implicit or start[4:6] not in LONG_FORMS else stream.read(4)
    if len(word) < 4:
        return 0
    length = struct.unpack(order + "I", word)[0]
    begin, end = stream.tell(), stream.seek(0, 2)
    if length != UNDEFINED_LENGTH:
        return min(length, end - begin)
    stream.seek(max(begin, end - 64))
    return data.Rows * data.Columns * (data.BitsAllocated // 8) if SEQUENCE_DELIMITER in stream.read() else None


def _header(data, file: Path) -> SliceHeader:
    return SliceHeader(
        file=file, patient=str(data.get("PatientID") or ""), study=str(data.StudyInstanceUID),
        series=str(data.SeriesInstanceUID), frame=str(data.get("FrameOfReferenceUID") or ""),
        size=(int(data.Columns), int(data.Rows)), spacing=(float(data.PixelSpacing[1]), float(data.PixelSpacing[0])),
        orientation=_floats(data.ImageOrientationPatient, 6), position=_floats(data.ImagePositionPatient, 3),
        description=str(data.get("SeriesDescription") or ""), number=int(data.get("SeriesNumber") or 0),
        acquired=_seconds(data.get("AcquisitionTime")), stored=_seconds(data.get("ContentTime")),
        trigger=_number(data.get("TriggerTime")), manufacturer=str(data.get("Manufacturer") or ""),
        field_strength=_number(data.get("MagneticFieldStrength")))


def _floats(values, count: int) -> tuple[float, ...]:
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers where {count} belong")
    return tuple(float(value) for value in values)


def _number(value) -> float | None:
    return None if value in (None, "") else float(value)


def _seconds(value) -> float | None:
    """A DICOM time (HHMMSS.ffffff, shorter forms allowed) in seconds of the day."""
    text = str(value or "").replace(":", "").strip()
    if not text:
        return None
    return int(text[:2]) * 3600 + int(text[2:4] or 0) * 60 + float(text[4:] or 0)
