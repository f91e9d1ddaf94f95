"""Tumour masks in DICOM Segmentation objects (PS3.3 A.51), as annotation programs export them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.image.volume import Volume, to_lps, vector

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
TUMOUR = re.compile(r"(?<![a-z])(tumou?rs?|lesions?|neoplas[a-z]*|mass(es)?)(?![a-z])")  # in lower case
THRESHOLD = 0.5  # of a fractional segment's maximum: at least half inside
MAX_SLICES = 4096  # a wrong slice spacing would exceed the memory
STEP_TOLERANCE = 0.01  # of the slice spacing, as in highdicom


def is_segmentation(path: Path) -> bool:
    """Return whether a regular file is a DICOM Segmentation object; read only its first few hundred bytes."""
    from pydicom.filereader import read_file_meta_info

    try:
        return Path(path).is_file() and read_file_meta_info(path).get("MediaStorageSOPClassUID") == SEGMENTATION_STORAGE
    except Exception:  # pydicom raises many kinds of error on other files
        return False


def read_segmentation(path: Path, label: str | None = None) -> Volume:
    """Read the tumour of a Segmentation object, binary or fractional, as uint8 0 and 1 in LPS.

    The volume covers only the frames: programs omit slices without tumour. Use resample_onto to resample it onto
    the images. `label` selects a segment. Without it, merge the segments whose label, description or type names a
    tumour, lesion, neoplasm or mass; a single segment is taken under any name.

    Raises InputError if the file is missing, damaged or of another kind, if its frames are not parallel and evenly
    spaced, or if no segment can be identified as the tumour.
    """
    from highdicom.seg import Segmentation
    from pydicom import dcmread

    path = Path(path)
    if not path.is_file():
        raise InputError("the segmentation is missing", file=path)
    if not is_segmentation(path):
        raise InputError(
            "this is not a DICOM Segmentation object",
            file=path,
            expected=f"SOP class {SEGMENTATION_STORAGE}",
            hint="export the tumour as DICOM SEG or NIfTI",
        )
    try:
        data = dcmread(path)
        _set_slice_spacing(data)
        segmentation = Segmentation.from_dataset(data, copy=False)
        with error_context(file=path):
            return to_lps(_stack(segmentation, _choose(segmentation, label)))
    except InputError:
        raise
    except Exception as error:  # pydicom and highdicom raise many kinds of error on damaged files
        raise InputError(
            "the segmentation cannot be read",
            file=path,
            found=str(error) or type(error).__name__,
            expected="complete frames, parallel and evenly spaced",
            hint="export or download it again",
        ) from None


def _set_slice_spacing(data: "Dataset") -> None:
    """Set a missing slice spacing, which the frames do not determine if slices are omitted.

    Use the slice thickness if all frames are at integer multiples of it.
    """
    measures = data.SharedFunctionalGroupsSequence[0].get("PixelMeasuresSequence", [None])[0]
    if measures is None or measures.get("SpacingBetweenSlices") or not measures.get("SliceThickness"):
        return
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in data.PerFrameFunctionalGroupsSequence]
    apart = np.linalg.norm(np.subtract(positions, positions[0]), axis=1) / measures.SliceThickness
    if np.abs(apart - apart.round()).max() <= STEP_TOLERANCE:
        measures.SpacingBetweenSlices = measures.SliceThickness


def _choose(segmentation: "Segmentation", label: str | None) -> list[int]:
    """Return the numbers of the segments that form the tumour."""
    segments = [segmentation.get_segment_description(number) for number in segmentation.segment_numbers]
    if label is None:
        chosen = [one for one in segments if TUMOUR.search(_words(one))] or segments[: len(segments) == 1]
        expected = "one segment, or one whose name or type is tumour, lesion, neoplasm or mass"
    else:
        chosen = [one for one in segments if one.segment_label.strip().lower() == label.strip().lower()]
        expected = f"a segment {label!r}"
    if not chosen:
        found = ", ".join(f"{one.segment_label!r} ({one.segmented_property_type.meaning})" for one in segments)
        raise InputError(
            "it is not clear which segment is the tumour",
            found=found or "no segment",
            expected=expected,
            hint="name the segment, or rename it in the annotation program",
        )
    return [one.segment_number for one in chosen]


def _words(segment: "SegmentDescription") -> str:
    return (
        f"{segment.segment_label} {segment.get('SegmentDescription', '')} "
        f"{segment.segmented_property_type.meaning}".lower()
    )


def _stack(segmentation: "Segmentation", numbers: list[int]) -> Volume:
    """Merge these segments, in the order and orientation of the frames; slices without a frame are empty."""
    slices = segmentation.get_volume_geometry(allow_missing_positions=True, allow_duplicate_positions=True)
    if slices is None:
        raise ValueError("frames that are not parallel slices")
    if slices.spatial_shape[0] > MAX_SLICES:
        raise InputError(
            "the segmentation spans too many slices",
            found=slices.spatial_shape[0],
            expected=f"at most {MAX_SLICES}",
            hint="check its SpacingBetweenSlices",
        )
    stacked = segmentation.get_volume(segment_numbers=numbers)  # (z, y, x, segment): 0 and 1, or a fraction up to 1
    axes = stacked.affine[:3, 2::-1]
    spacing = np.linalg.norm(axes, axis=0)
    mask = np.any(stacked.array >= THRESHOLD, axis=-1).astype(np.uint8)
    return Volume(mask, vector(spacing), vector(stacked.affine[:3, 3]), tuple((axes / spacing).ravel().tolist()))
