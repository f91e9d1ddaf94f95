"""Writing of synthetic volumes as derived, de-identified MR series (DICOM PS3.3 A.4, PS3.15 annex E, basic profile).

Every attribute that is written is listed here: it is a constant, a number of the geometry, or a hash. UIDs are hashes
too, so that series from one study form one study in one frame of reference, and a viewer overlays them. They are not
linked to the identified study, as de-identification demands.
"""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_folder
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series, stored_geometry
from pre2post.image.volume import Volume, from_lps

if TYPE_CHECKING:
    from pydicom import Dataset

WIDE_SPAN = 1000  # of values stored in steps of 1: half a step is then below 0.05 % of the span, far below noise
LEVELS = 65000  # steps of a finer scale: 16 bits, less a margin for the rounding of slope and intercept
MIN_SPAN = 1e-6  # of the largest value, for a finer scale: float32 resolves a tenth of it
LOSSY = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
)  # transfer syntaxes that may be lossy: JPEG, JPEG-LS, JPEG 2000, HTJ2K
PSEUDONYM = 16  # hexadecimal digits: two of a million studies share one with a probability below 1e-7
SERIES_NUMBER = 1000  # after the series of most scanners

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
}  # at most 64 characters each
EMPTY = (  # required attributes that may be empty (type 2)
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
NOT_ACQUIRED = {
    "ScanningSequence": "RM",
    "SequenceVariant": "NONE",
}  # type 1; RM is research mode, not a scanner's sequence
GREY = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
}


def write_synthetic_series(volume: Volume, source: Series, folder: Path) -> None:
    """Write `1.dcm`, `2.dcm`, ... (with leading zeros) along the normal of the slices, all or none.

    `volume` is in scanner units in the geometry of read_series(source). Each file has position and orientation of a
    slice of the source; see to_stored for the precision of values. RescaleSlope and RescaleIntercept make it a Standard
    Extended SOP Class (PS3.2), as on scanners. SliceThickness is the slice spacing. Equal volumes and sources give
    equal bytes; other values give other UIDs of series and images.

    `folder` is created; it may exist if it is empty. Raises InputError for NaN and infinity, and OSError with the name
    of the folder if it cannot be written.
    """
    stack = from_lps(volume, stored_geometry(source)).array
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
    with atomic_folder(folder) as temporary:
        for number, (header, plane) in enumerate(zip(source.slices, pixels, strict=True), start=1):
            content = _encoded(common | _of_slice(header, plane, number, str(common["SeriesInstanceUID"])))
            (temporary / f"{number:0{digits}d}.dcm").write_bytes(content)


def to_stored(values: np.ndarray) -> tuple[np.ndarray, str, str]:
    """Convert finite values to int16 or uint16, with slope and intercept as texts of at most 16 characters.

    stored * slope + intercept differs from the value by at most half a step. The step is the slope. It is 1, with
    intercept 0, if values fit into 16 bits and are integers or span at least WIDE_SPAN; else a 65,000th of their span.
    """
    low, high = float(values.min()), float(values.max())
    whole = np.rint(values)
    if high - low >= WIDE_SPAN or np.array_equal(whole, values):
        for dtype in (np.int16, np.uint16):
            if np.iinfo(dtype).min <= whole.min() and whole.max() <= np.iinfo(dtype).max:
                return whole.astype(dtype), "1", "0"
    slope = f"{max(high - low, MIN_SPAN * abs(high)) / LEVELS:.4g}"
    intercept = f"{(low + high) / 2:.10g}"
    steps = (values.astype(np.float64) - float(intercept)) / float(slope)
    return np.rint(steps).astype(np.int16), slope, intercept


def _common(source: Series, values: str) -> dict[str, object]:
    """Return the attributes that all slices share.

    The pseudonym is a hash of the study's UID: patient numbers are so few that a hash of one could be inverted.
    """
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
    """Return the attributes of one slice: the geometry of the source, with as many digits as DICOM allows."""
    from pydicom.valuerep import format_number_as_ds

    geometry: dict[str, tuple[float, ...]] = {
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
    """Encode a DICOM file in explicit VR little endian."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    data = Dataset()
    for name, value in attributes.items():
        setattr(data, name, value)
    data.DeidentificationMethodCodeSequence = [_basic_profile()]
    data["PixelData"].VR = "OW"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()  # pydicom would hide the error of a disk
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _basic_profile() -> "Dataset":
    """Return the code of the profile (PS3.16, CID 7050)."""
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    return code


def _uid(kind: str, *sources: str) -> str:
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["pre2post", kind, *sources])


def _is_lossy(file: Path) -> bool:
    """Return whether pixels were ever compressed with loss; derived images must state it (PS3.3 C.7.6.1.1.5)."""
    from pydicom import dcmread

    data = dcmread(file, stop_before_pixels=True, force=True, specific_tags=["LossyImageCompression"])
    stated = data.get("LossyImageCompression")
    return stated == "01" or (not stated and data.file_meta.get("TransferSyntaxUID") in LOSSY)
