"""Write one volume as an MR Image Storage series, with the same bytes on every machine (DICOM PS3.3 A.4, PS3.10)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, MRImageStorage

from pre2post.phantom.encoding import PREAMBLE, encoded, file_meta
from pre2post.phantom.grid import Grid
from pre2post.phantom.sites import Site

DATE = "19900101"  # date of every study in the archive
IMPLEMENTATION = "PRE2POST_PHANTOM"  # at most 16 characters


@dataclass(frozen=True)
class Frame:
    """Position of the grid in scanner coordinates (`table`, mm) and order of storage."""

    table: tuple[float, float, float]
    rotated: bool
    descending: bool


@dataclass(frozen=True)
class Series:
    """Header values of one series. UIDs are derived from `key`; `seconds` is the time of day of acquisition."""

    case: str
    study_key: str
    key: str
    number: int
    description: str
    seconds: int
    fat_suppressed: bool
    trigger_ms: int | None = None


def uid(text: str) -> str:
    """Return a UID under the UUID root (2.25), derived from the SHA-256 of `text`."""
    return "2.25." + str(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def clock(seconds: int) -> str:
    """Format seconds of the day as a DICOM time."""
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}.000000"


def decimal(value: float) -> str:
    """Format a DICOM decimal string that does not depend on the last bits of `value`."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def stored(volume: np.ndarray, frame: Frame) -> np.ndarray:
    """Return the volume (z, y, x) in the orientation of the series, slices from feet to head."""
    return volume[:, ::-1, ::-1] if frame.rotated else volume


def instances(count: int, frame: Frame) -> list[int]:
    """Return the InstanceNumber of each slice of `stored`: 1, 2, ... towards the head, or the feet if descending."""
    return list(range(count, 0, -1)) if frame.descending else list(range(1, count + 1))


def direction_and_origin(grid: Grid, frame: Frame) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Return the signs of the axes (x, y, z) and the centre of the first voxel of `stored`, LPS in mm."""
    signs = (-1, -1, 1) if frame.rotated else (1, 1, 1)
    x, y, z = (
        o + t + (grid.spacing[i] * (grid.shape[2 - i] - 1) if signs[i] < 0 else 0)
        for i, (o, t) in enumerate(zip(grid.origin, frame.table, strict=True))
    )
    return signs, (x, y, z)


def write_series(folder: Path, volume: np.ndarray, grid: Grid, frame: Frame, series: Series, site: Site) -> None:
    """Write an integer `volume` (z, y, x) as `1-001.dcm`, `1-002.dcm`, ... into the new folder `folder`.

    The elements that all slices share are encoded once.
    """
    folder.mkdir(parents=True)
    shared = encoded(_header(volume, grid, frame, series, site))
    _, origin = direction_and_origin(grid, frame)
    slices = stored(volume, frame)
    for z, instance in enumerate(instances(len(slices), frame)):
        height = origin[2] + z * grid.spacing[2]
        own = Dataset()
        own.SOPInstanceUID = uid(f"{series.key}/{instance}")
        own.InstanceNumber = instance
        own.ImagePositionPatient = [decimal(origin[0]), decimal(origin[1]), decimal(height)]
        own.SliceLocation = decimal(height)
        pixels = np.ascontiguousarray(slices[z]).astype(volume.dtype.newbyteorder("<")).tobytes()
        own.add_new("PixelData", "OW", pixels)
        elements = sorted({**shared, **encoded(own)}.items())
        meta = file_meta(own.SOPInstanceUID, UID(uid(IMPLEMENTATION)), IMPLEMENTATION)
        content = b"".join([PREAMBLE, meta, *(part for _, part in elements)])
        (folder / f"1-{instance:03d}.dcm").write_bytes(content)


def _header(volume: np.ndarray, grid: Grid, frame: Frame, series: Series, site: Site) -> Dataset:
    """Return the elements that all slices of a series share."""
    header = Dataset()
    for fill in (_patient_and_study, _equipment_and_protocol):
        fill(header, series, site)
    signs, _ = direction_and_origin(grid, frame)
    header.SeriesInstanceUID = uid(series.key)
    header.FrameOfReferenceUID = uid(f"{series.study_key}/frame")
    header.PositionReferenceIndicator = ""
    header.ImageOrientationPatient = [signs[0], 0, 0, 0, signs[1], 0]
    header.SliceThickness = header.SpacingBetweenSlices = decimal(grid.spacing[2])
    header.PixelSpacing = [decimal(grid.spacing[1]), decimal(grid.spacing[0])]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = grid.shape[1:]
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, site.bits, site.bits - 1
    header.PixelRepresentation = int(site.signed)
    header.WindowCenter, header.WindowWidth = decimal(site.gain), decimal(2 * site.gain)
    return header


def _patient_and_study(header: Dataset, series: Series, site: Site) -> None:
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = MRImageStorage
    header.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = DATE
    header.StudyTime = clock(36000)
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = clock(series.seconds)
    header.AccessionNumber = header.ReferringPhysicianName = header.StudyID = header.PatientBirthDate = ""
    header.Modality, header.BodyPartExamined = "MR", "BREAST"
    header.StudyDescription, header.SeriesDescription = "MRI BREAST BILATERAL", series.description
    header.PatientName = header.PatientID = series.case
    header.PatientSex, header.PatientIdentityRemoved = "F", "YES"
    header.DeidentificationMethod = "SIMULATED: NO PERSON BEHIND IT"
    header.StudyInstanceUID = uid(series.study_key)
    header.SeriesNumber = header.AcquisitionNumber = series.number


def _equipment_and_protocol(header: Dataset, series: Series, site: Site) -> None:
    header.Manufacturer, header.ManufacturerModelName = site.manufacturer, site.model
    header.ScanningSequence, header.SequenceVariant, header.MRAcquisitionType = "GR", "SP", "3D"
    header.ScanOptions = ["FAST_GEMS", "FS"] if series.fat_suppressed else "FAST_GEMS"
    if site.name != "A":
        header.ScanOptions = "FS" if series.fat_suppressed else ""
    header.ProtocolName = "breast bilateral"
    header.RepetitionTime, header.EchoTime = decimal(site.repetition_time), decimal(site.echo_time)
    header.FlipAngle, header.MagneticFieldStrength = decimal(site.flip_angle), decimal(site.field)
    header.ImagingFrequency = decimal(42.577 * site.field)  # Larmor frequency of the proton, MHz
    header.ImagedNucleus, header.NumberOfAverages, header.EchoTrainLength = "1H", "1", 1
    header.InPlanePhaseEncodingDirection, header.PatientPosition = "ROW", "HFP"
    if series.trigger_ms is not None:
        header.TriggerTime = decimal(series.trigger_ms)
