"""Writes a synthetic volume as a derived, de-identified MR series (DICOM PS3.3 A.4, PS3.15 annex E, basic profile).

Nothing is copied from the headers of the source: every attribute that is written is named here, and holds a constant,
a number of the geometry or a hash. The UIDs are hashes too, so series that are made from one study form one study
again, in one frame of reference; a viewer lays them over each other, but not over the identified study, with which a
de-identified one must not be linked.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series, stored_place
from pre2post.image.volume import Volume, from_lps

WIDE = 1000  # steps of 1 that values span at least: half a step is then below 0.05 % of them, far below noise
LEVELS = 65000  # steps of a finer scale: what 16 bits hold, less a margin for slope and intercept rounded as texts
NARROWEST = 1e-6  # of the values, what a finer scale spans at least: float32 tells no less apart than a tenth of it
LOSSY = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
)  # transfer syntaxes that may lose something: JPEG, JPEG-LS, JPEG 2000, HTJ2K
PSEUDONYM = 16  # hexadecimal digits: two of a million studies share one with a chance below 1e-7
SERIES_NUMBER = 1000  # sorts after the series of most scanners

ORIGIN = {
    "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
    "SyntheticData": "YES",
    "Modality": "MR",
    "SeriesDescription": "synthetic post-contrast",
    "SeriesNumber": SERIES_NUMBER,
    "Manufacturer": "pre2post",
    "DerivationDescription": "Synthetic first post-contrast image, computed from the pre-contrast series by a neural "
    "network. No contrast agent was given. Not for diagnosis.",
    "BurnedInAnnotation": "NO",
}
DEIDENTIFIED = {
    "PatientIdentityRemoved": "YES",
    "LongitudinalTemporalInformationModified": "REMOVED",
    "DeidentificationMethod": [
        "PS3.15 Basic Application Level Confidentiality Profile",
        "new header from an allow-list, UIDs replaced by hashes",
    ],
}  # of 64 characters at most
EMPTY = (  # the standard demands that these are there, and lets them be empty (type 2)
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
    "Laterality",
    "PatientPosition",
    "PositionReferenceIndicator",
    "ScanOptions",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
)
NOT_ACQUIRED = {"ScanningSequence": "RM", "SequenceVariant": "NONE"}  # type 1; RM, research mode: no scanner's sequence
GREY = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
}


def write_synthetic_series(volume: Volume, source: Series, folder: Path) -> None:
    """Writes `1.dcm`, `2.dcm`, ... (with leading zeros) along the normal of the slices, whole or not at all.

    `volume` are scanner units in the place of read_series(source). Each file lies where a slice of the source lies,
    turned as that; to_stored tells how exact the values are. RescaleSlope and RescaleIntercept make it a Standard
    Extended SOP Class (PS3.2), as scanners do. SliceThickness is the distance of the slices. The same volume and
    source give the same bytes; other values give other UIDs of series and images.

    `folder` is made; it may exist when it is empty. Raises InputError for values that are not finite, OSError with the
    name of the folder when it cannot be written.
    """
    stack = from_lps(volume, stored_place(source)).array
    if not np.isfinite(stack).all():
        raise InputError("the volume holds values that are not finite", file=folder, expected="numbers")
    pixels, slope, intercept = to_stored(stack)
    values = hashlib.sha256(pixels.tobytes() + f"{slope} {intercept}".encode()).hexdigest()
    common = _common(source, values) | {
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
        "RescaleType": "US",
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    digits = len(str(len(pixels)))
    with _atomic_folder(folder) as temporary:
        for number, (header, plane) in enumerate(zip(source.slices, pixels, strict=True), start=1):
            content = _encoded(common | _of_slice(header, plane, number, common["SeriesInstanceUID"]))
            (temporary / f"{number:0{digits}d}.dcm").write_bytes(content)


def to_stored(values: np.ndarray) -> tuple[np.ndarray, str, str]:
    """Finite values as int16 or uint16, with the slope and the intercept (at most 16 characters) that give them back.

    stored * slope + intercept differs from the value by at most half a step. The step is the slope: 1, with intercept
    0, where values fit into 16 bits and are whole numbers or span WIDE or more; else a 65,000th of their span.
    """
    low, high = float(values.min()), float(values.max())
    whole = np.rint(values)
    if high - low >= WIDE or np.array_equal(whole, values):
        for dtype in (np.int16, np.uint16):
            if np.iinfo(dtype).min <= whole.min() and whole.max() <= np.iinfo(dtype).max:
                return whole.astype(dtype), "1", "0"
    slope = f"{max(high - low, NARROWEST * abs(high)) / LEVELS:.4g}"
    intercept = f"{(low + high) / 2:.10g}"
    steps = (values.astype(np.float64) - float(intercept)) / float(slope)
    return np.rint(steps).astype(np.int16), slope, intercept


def _common(source: Series, values: str) -> dict[str, object]:
    """Attributes that all slices share. The pseudonym is made of the study's UID: numbers of patients are so few that
    a hash of one could be undone by trying them all."""
    from pydicom.uid import MRImageStorage
    from pydicom.valuerep import format_number_as_ds

    head = source.head
    pseudonym = hashlib.sha256(head.study.encode()).hexdigest()[:PSEUDONYM]
    lossy = any(map(_is_lossy, {one.file for one in source.slices}))
    step = format_number_as_ds(source.step)
    return (
        dict.fromkeys(EMPTY, "")
        | ORIGIN
        | DEIDENTIFIED
        | NOT_ACQUIRED
        | GREY
        | {
            "SOPClassUID": MRImageStorage,
            "PatientName": pseudonym,
            "PatientID": pseudonym,
            "StudyInstanceUID": _uid("study", head.study),
            "SeriesInstanceUID": _uid("series", head.series, values),
            "FrameOfReferenceUID": _uid("frame", head.frame or head.series),
            "LossyImageCompression": "01" if lossy else "00",
            "SliceThickness": step,
            "SpacingBetweenSlices": step,
        }
    )


def _of_slice(header: SliceHeader, plane: np.ndarray, number: int, series: str) -> dict[str, object]:
    """Attributes of one slice; geometry as in the source, numbers with as many digits as DICOM allows."""
    from pydicom.valuerep import format_number_as_ds

    geometry = {
        "ImagePositionPatient": header.position,
        "ImageOrientationPatient": header.orientation,
        "PixelSpacing": header.spacing[::-1],
    }
    texts = {name: [format_number_as_ds(value) for value in values] for name, values in geometry.items()}
    return texts | {
        "InstanceNumber": number,
        "SOPInstanceUID": _uid("image", series, str(number)),
        "Rows": plane.shape[0],
        "Columns": plane.shape[1],
        "PixelData": plane.astype(plane.dtype.newbyteorder("<")).tobytes(),
    }


def _encoded(attributes: dict[str, object]) -> bytes:
    """A DICOM file, explicit VR little endian."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    data = Dataset()
    for name, value in attributes.items():
        setattr(data, name, value)
    data.DeidentificationMethodCodeSequence = [_basic_profile()]
    data["PixelData"].VR = "OW"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()  # pydicom would hide why a disk cannot be written
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _basic_profile():
    """The code of the profile (PS3.16, CID 7050)."""
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    return code


def _uid(kind: str, *sources: str) -> str:
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["pre2post", kind, *sources])


def _is_lossy(file: Path) -> bool:
    """Whether pixels were ever compressed with loss, which what is derived from them must tell (PS3.3 C.7.6.1.1.5)."""
    from pydicom import dcmread

    data = dcmread(file, stop_before_pixels=True, force=True, specific_tags=["LossyImageCompression"])
    stated = data.get("LossyImageCompression")
    return stated == "01" or (not stated and data.file_meta.get("TransferSyntaxUID") in LOSSY)


@contextmanager
def _atomic_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder beside `folder`, and renames it to that on success; on any error it is removed."""
    folder = folder.resolve()
    temporary = folder.with_name(f".{os.getpid()}.tmp.{folder.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, folder)  # fails when it is there and not empty
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
