"""Headers of DICOM MR slices, checked before their pixels are read.

A file holds one slice, or one per frame (Enhanced MR, PS3.3 A.36). Names, dates of birth and addresses of persons are
never read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pre2post.core.errors import InputError
from pre2post.dicom.attributes import PER_FRAME, Attributes, attributes_of, frames_of, wanted_tags
from pre2post.dicom.file import IncompleteFile, NotDicom, open_dicom, read_elements
from pre2post.dicom.frames import Piece, Pixels, find_frames
from pre2post.image.volume import Vector, vector

Number = TypeVar("Number", int, float)

# MR Image Storage: classic, Enhanced, Legacy Converted Enhanced
MR = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
KINDS = {
    "1.2.840.10008.5.1.4.1.1.2": "CT images",
    "1.2.840.10008.5.1.4.1.1.4.2": "MR spectroscopy",
    "1.2.840.10008.5.1.4.1.1.7": "a screen capture",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66": "raw data",
    "1.2.840.10008.5.1.4.1.1.11.1": "a presentation state",
}
NEEDED = ("StudyInstanceUID", "SeriesInstanceUID")
NEEDED_OF_FRAME = ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient")
SIZES = (2, 4096)  # pixels per side: scanners stay below 2048, and a wrong number must not fill the memory
SPACINGS = (0.05, 10.0)  # mm: microscopy coils reach 0.05, localizers stay below 10
ALLOCATED = (8, 16, 32)  # bits per pixel
MAX_VALUE = 3e38  # after rescaling, so that float32 holds it
DATES = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")  # the first one present is the date of a time
PULSES = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}  # values of Enhanced MR as ScanningSequence


class NotDicomFile(InputError):
    """A file that is not DICOM."""


class NotMrImage(InputError):
    """A valid DICOM file that is not an MR image, such as a report or a screen capture."""


@dataclass(frozen=True)
class SliceHeader:
    """The attributes of one slice that the pipeline uses. Lengths in mm, trigger time in ms.

    `acquired` and `stored` are in seconds since the year 1, or since midnight without a date, so that an examination
    over midnight stays in order. Fields such as `scan_options` hold the values of the DICOM attributes; fat suppression
    of an Enhanced MR file becomes "FS", as in classic files.
    """

    file: Path
    patient: str
    study: str
    series: str
    frame: str  # FrameOfReferenceUID
    size: tuple[int, int]  # columns, rows
    spacing: tuple[float, float]  # between columns, between rows
    orientation: tuple[float, ...]
    position: Vector
    description: str
    number: int
    acquired: float | None
    stored: float | None
    trigger: float | None
    manufacturer: str
    field_strength: float | None  # tesla
    model: str = ""
    date: str = ""  # of the acquisition, YYYYMMDD
    instance: int | None = None  # InstanceNumber, or the number of the frame from 1
    temporal: int | None = None  # position of the slice's phase in the series, if the scanner states it
    image_type: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    sequence_name: str = ""
    protocol: str = ""
    acquisition_type: str = ""  # 2D or 3D
    pixels: Pixels = field(default_factory=Pixels)


def read_header(file: Path, case: str) -> SliceHeader:
    """Read the header of the first slice of a file; see read_headers."""
    return read_headers(file, case)[0]


def read_headers(file: Path, case: str) -> list[SliceHeader]:
    """Read a file up to its pixels, check that these are complete, and return a header per slice.

    Raises NotDicomFile for a file that is not DICOM, NotMrImage for one that is not an MR image, InputError for missing
    or impossible attributes and truncated files.
    """
    with _input_errors(file, case), open_dicom(file) as source:
        data, length = read_elements(source, wanted_tags())
        common, several = attributes_of(data), PER_FRAME in data
        _check_kind(common, file, case)
        frames = frames_of(data) if several else [common]
        rows, columns, allocated = _check_matrix(common, len(frames), file, case)
        pieces = find_frames(source, length, len(frames), rows * columns * (allocated // 8))
        return [
            _header(frame, file, case, index + 1 if several else None, place, source.syntax)
            for index, (frame, place) in enumerate(zip(frames, pieces, strict=True))
        ]


@contextmanager
def _input_errors(file: Path, case: str) -> Iterator[None]:
    """Turn errors of reading into InputErrors that name the file."""
    try:
        yield
    except NotDicom as error:
        raise NotDicomFile(
            "this is not a DICOM file",
            case=case,
            file=file,
            found=error,
            expected="a DICOM MR slice",
            hint="remove the file, or download it again",
        ) from None
    except OSError as error:
        raise InputError(
            "the file cannot be opened",
            case=case,
            file=file,
            found=error.strerror,
            expected="a DICOM MR slice",
            hint="download the file again, or check its permissions",
        ) from None
    except IncompleteFile as error:
        raise InputError(
            "the file is truncated, or its pixels do not match its header",
            case=case,
            file=file,
            found=error,
            expected=error.expected,
            hint="download the file again",
        ) from None
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        raise InputError(
            "the DICOM header cannot be read", case=case, file=file, found=error, hint="download the file again"
        ) from None


def _check_kind(data: Attributes, file: Path, case: str) -> None:
    kind, modality = data.text("SOPClassUID") or MR[0], data.text("Modality") or "MR"
    if kind not in MR:
        raise NotMrImage(
            "this is not an MR image",
            case=case,
            file=file,
            expected="MR",
            found=KINDS.get(kind, f"{modality}, SOPClassUID {kind}"),
        )
    if modality != "MR":
        raise InputError("this is not an MR image", case=case, file=file, found=modality, expected="MR")
    missing = [name for name in NEEDED if not data.text(name)]
    if missing:
        raise _missing(missing[0], file, case)


def _check_matrix(data: Attributes, frames: int, file: Path, case: str) -> tuple[int, int, int]:
    """Check that the file holds `frames` greyscale frames; return rows, columns and bits per pixel."""
    rows, columns, allocated = (_required(data, name, file, case) for name in ("Rows", "Columns", "BitsAllocated"))
    declared = int(data.number("NumberOfFrames") or 1)
    colours = data.integer("SamplesPerPixel") or 1
    if declared != frames or colours != 1:
        name, value = ("SamplesPerPixel", colours) if colours != 1 else ("NumberOfFrames", declared)
        raise InputError(
            "the file is neither a single greyscale slice nor multi-frame with per-frame positions",
            case=case,
            file=file,
            found=f"{name} {value}",
            expected=f"{name} {1 if colours != 1 else frames}",
            hint="export the series as classic or Enhanced MR images",
        )
    if data.text("PhotometricInterpretation") not in ("", "MONOCHROME2"):
        raise InputError(
            "the pixels are not greyscale values that increase with the signal",
            case=case,
            file=file,
            found=data.text("PhotometricInterpretation"),
            expected="MONOCHROME2",
            hint="export the series as it was acquired",
        )
    if not (SIZES[0] <= rows <= SIZES[1] and SIZES[0] <= columns <= SIZES[1]) or allocated not in ALLOCATED:
        raise InputError(
            "the matrix is impossible for an MR image",
            case=case,
            file=file,
            found=f"{columns} x {rows} pixels of {allocated} bits",
            expected=f"{SIZES[0]} to {SIZES[1]} pixels per side, of {', '.join(map(str, ALLOCATED))} bits",
            hint="download the file again, or leave the series out",
        )
    return rows, columns, allocated


def _header(
    data: Attributes, file: Path, case: str, frame: int | None, pieces: tuple[Piece, ...], syntax: str
) -> SliceHeader:
    spacing, orientation, position = (
        _geometry(data, name, count, file, case) for name, count in zip(NEEDED_OF_FRAME, (2, 6, 3), strict=True)
    )
    if not all(SPACINGS[0] <= step <= SPACINGS[1] for step in spacing):
        raise InputError(
            "the pixel spacing is impossible for an MR image",
            case=case,
            file=file,
            found=f"{spacing[1]:g} x {spacing[0]:g} mm",
            expected="{:g} to {:g} mm".format(*SPACINGS),
            hint="correct PixelSpacing, or leave the series out",
        )
    suppressed = data.text("SpectrallySelectedSuppression") == "FAT"
    return SliceHeader(
        file=file,
        patient=data.text("PatientID"),
        study=data.text("StudyInstanceUID"),
        series=data.text("SeriesInstanceUID"),
        frame=data.text("FrameOfReferenceUID"),
        size=(_required(data, "Columns", file, case), _required(data, "Rows", file, case)),
        spacing=(spacing[1], spacing[0]),
        orientation=orientation,
        position=vector(position),
        description=data.text("SeriesDescription"),
        number=int(data.number("SeriesNumber") or 0),
        acquired=_first(
            data.moment("FrameAcquisitionDateTime"),
            data.time("AcquisitionTime", DATES),
            data.moment("AcquisitionDateTime"),
        ),
        stored=data.time("ContentTime", ("ContentDate", *DATES)),
        trigger=_trigger(data),
        manufacturer=data.text("Manufacturer"),
        field_strength=data.number("MagneticFieldStrength"),
        model=data.text("ManufacturerModelName"),
        date=data.first(("FrameAcquisitionDateTime", *DATES))[:8],
        instance=frame or _integer(data, "InstanceNumber"),
        temporal=_first(data.integer("TemporalPositionIndex"), _integer(data, "TemporalPositionIdentifier")),
        image_type=data.words("ImageType"),
        sequence_variant=data.words("SequenceVariant"),
        scanning_sequence=data.words("ScanningSequence") or PULSES.get(data.text("EchoPulseSequence"), ()),
        scan_options=data.words("ScanOptions") + (("FS",) if suppressed else ()),
        sequence_name=data.text("SequenceName") or data.text("PulseSequenceName"),
        protocol=data.text("ProtocolName"),
        acquisition_type=data.text("MRAcquisitionType"),
        pixels=_pixels(data, file, case, pieces, syntax),
    )


def _geometry(data: Attributes, name: str, count: int, file: Path, case: str) -> tuple[float, ...]:
    values = data.numbers(name)
    if not values:
        raise _missing(name, file, case)
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"{name} {values} instead of {count} numbers")
    return values


def _pixels(data: Attributes, file: Path, case: str, pieces: tuple[Piece, ...], syntax: str) -> Pixels:
    allocated = _required(data, "BitsAllocated", file, case)
    bits = data.integer("BitsStored") or allocated
    signed = bool(data.integer("PixelRepresentation"))
    slope, intercept = data.number("RescaleSlope"), data.number("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    high = data.integer("HighBit")
    if bits > allocated or high not in (None, bits - 1):
        raise InputError(
            "the bits of a pixel are arranged in an impossible way",
            case=case,
            file=file,
            found=f"BitsStored {bits}, HighBit {high}, BitsAllocated {allocated}",
            expected="HighBit = BitsStored - 1, BitsStored at most BitsAllocated",
            hint="download the file again, or leave the series out",
        )
    if slope == 0 or abs(slope) * 2.0**bits + abs(intercept) > MAX_VALUE:
        raise InputError(
            "the rescaling is impossible",
            case=case,
            file=file,
            found=f"RescaleSlope {slope:g}, RescaleIntercept {intercept:g}",
            expected="a slope other than 0, and values that float32 can hold",
            hint="download the file again, or leave the series out",
        )
    ends = [data.padding(name, signed) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    known = sorted(end for end in ends if end is not None)
    padding = (known[0], known[-1]) if ends[0] is not None else None
    return Pixels(pieces, syntax, allocated, bits, signed, slope, intercept, padding)


def _trigger(data: Attributes) -> float | None:
    """Return the trigger time in ms; in Enhanced MR the trigger delay, or the time offset, which is in seconds."""
    offset = data.number("TemporalPositionTimeOffset")
    return _first(
        data.number("TriggerTime"),
        data.number("NominalCardiacTriggerDelayTime"),
        None if offset is None else 1000 * offset,
    )


def _integer(data: Attributes, name: str) -> int | None:
    """Return an integer text, None for any other: the code that needs it reports that."""
    try:
        return int(data.text(name))
    except ValueError:
        return None


def _required(data: Attributes, name: str, file: Path, case: str) -> int:
    """Return a binary integer. Raises InputError if it is missing."""
    value = data.integer(name)
    if value is None:
        raise _missing(name, file, case)
    return value


def _first(*values: Number | None) -> Number | None:
    return next((value for value in values if value is not None), None)


def _missing(name: str, file: Path, case: str) -> InputError:
    return InputError(
        "the file is truncated or not an image",
        case=case,
        file=file,
        found=f"no {name}",
        expected="a complete DICOM MR slice",
        hint="download the file again",
    )
