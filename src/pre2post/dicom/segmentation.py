"""A tumour that an annotation program stored as a DICOM Segmentation object (PS3.3 A.51)."""

import re
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.image.volume import Volume, to_lps

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
TUMOUR = re.compile(r"(?<![a-z])(tumou?rs?|lesions?|neoplas[a-z]*|mass(es)?)(?![a-z])")  # in lower case
HALF = 0.5  # of a fractional segment's maximum: more inside than outside
MOST_SLICES = 4096  # a wrong slice distance would ask for more memory than there is
STEP_TOLERANCE = 0.01  # of the slice distance, as highdicom has it


def is_segmentation(path: Path) -> bool:
    """Whether this is a DICOM Segmentation object; reads the first few hundred bytes, and of no pipe."""
    from pydicom.filereader import read_file_meta_info

    try:
        return Path(path).is_file() and read_file_meta_info(path).get("MediaStorageSOPClassUID") == SEGMENTATION_STORAGE
    except Exception:  # pydicom raises a dozen kinds on what is no DICOM
        return False


def read_segmentation(path: Path, label: str | None = None) -> Volume:
    """The tumour of a Segmentation object, binary or fractional, as uint8 0 and 1 in LPS.

    The volume covers what the frames cover, and no more: programs leave out slices without tumour. Lay it onto the
    images with resample_onto. `label` names the segment. Without it, segments whose label, description or type speaks
    of a tumour, lesion, neoplasm or mass are united; a single segment is the tumour whatever its name.

    Raises InputError when the file is missing, damaged or something else, when its frames are no stack of parallel
    slices, or when no segment, or none of several, is a tumour.
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
        _name_step(data)
        segmentation = Segmentation.from_dataset(data, copy=False)
        with error_context(file=path):
            return to_lps(_stack(segmentation, _choose(segmentation, label)))
    except InputError:
        raise
    except Exception as error:  # pydicom and highdicom raise a dozen kinds on files that are cut or changed
        raise InputError(
            "the segmentation cannot be read",
            file=path,
            found=str(error) or type(error).__name__,
            expected="whole frames, parallel and evenly spaced",
            hint="export or fetch it again",
        ) from None


def _name_step(data) -> None:
    """Says how far slices lie apart where the file does not: its frames alone do not tell, as slices are left out.

    The slice thickness is the distance when all frames lie whole multiples of it apart.
    """
    measures = data.SharedFunctionalGroupsSequence[0].get("PixelMeasuresSequence", [None])[0]
    if measures is None or measures.get("SpacingBetweenSlices") or not measures.get("SliceThickness"):
        return
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in data.PerFrameFunctionalGroupsSequence]
    apart = np.linalg.norm(np.subtract(positions, positions[0]), axis=1) / measures.SliceThickness
    if np.abs(apart - apart.round()).max() <= STEP_TOLERANCE:
        measures.SpacingBetweenSlices = measures.SliceThickness


def _choose(segmentation, label: str | None) -> list[int]:
    """The numbers of the segments that make up the tumour."""
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


def _words(segment) -> str:
    return (
        f"{segment.segment_label} {segment.get('SegmentDescription', '')} "
        f"{segment.segmented_property_type.meaning}".lower()
    )


def _stack(segmentation, numbers: list[int]) -> Volume:
    """The union of these segments, slices without a frame empty, in the order and orientation of the frames."""
    slices = segmentation.get_volume_geometry(allow_missing_positions=True, allow_duplicate_positions=True)
    if slices.spatial_shape[0] > MOST_SLICES:
        raise InputError(
            "the segmentation spans too many slices",
            found=slices.spatial_shape[0],
            expected=f"at most {MOST_SLICES}",
            hint="look at its SpacingBetweenSlices",
        )
    stacked = segmentation.get_volume(segment_numbers=numbers)  # (z, y, x, segment): 0 and 1, or a share up to 1
    axes = stacked.affine[:3, 2::-1]
    spacing = np.linalg.norm(axes, axis=0)
    mask = (stacked.array >= HALF).any(axis=-1).astype(np.uint8)
    return Volume(
        mask, tuple(spacing.tolist()), tuple(stacked.affine[:3, 3].tolist()), tuple((axes / spacing).ravel().tolist())
    )
