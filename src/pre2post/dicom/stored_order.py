"""Positions in stored DICOM images, numbered as in a viewer, converted to voxels of the volume turned to LPS."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series
from pre2post.image.masks import Box, to_box
from pre2post.image.volume import Volume


def slice_numbers(series: Series) -> list[int]:
    """Return, for each slice in order of position, its rank (from 1) in the order of InstanceNumber.

    The rank equals the number if a series counts from 1; some scanners continue from phase to phase. The order may be
    opposite to the position: in about a third of the Duke patients it rises towards the feet. Raises InputError if a
    slice has no number or shares it.
    """
    instances = [_instance(header, series.case) for header in series.slices]
    places = {instance: place for place, instance in enumerate(sorted(set(instances)), start=1)}
    if len(places) < len(instances):
        shared = next(instance for instance in instances if instances.count(instance) > 1)
        raise InputError(
            "two slices share one InstanceNumber",
            case=series.case,
            file=series.folder,
            found=shared,
            expected="a different number for each",
            hint="download the series again",
        )
    return [places[instance] for instance in instances]


def volume_box(series: Series, volume: Volume, first: tuple[int, int, int], last: tuple[int, int, int]) -> Box:
    """Return the box in `volume`, the series turned to LPS, from stored pixel `first` to `last`, both included.

    These are (slice in order of position, row, column), all from 0.
    """
    corners = np.rint([_to_index(_position(series, *pixel), volume) for pixel in (first, last)]).astype(int)
    low, high = corners.min(axis=0), corners.max(axis=0) + 1
    return to_box(int(end) for axis in (2, 1, 0) for end in (low[axis], high[axis]))


def _position(series: Series, place: int, row: int, column: int) -> np.ndarray:
    """Return the centre of a stored pixel in mm (DICOM PS3.3 C.7.6.2.1.1), with the even steps of the volume."""
    head = series.head
    along_row, along_column = np.reshape(head.orientation, (2, 3))
    in_plane = along_row * (column * head.spacing[0]) + along_column * (row * head.spacing[1])
    return np.asarray(head.position) + in_plane + np.cross(along_row, along_column) * (place * series.step)


def _to_index(position: np.ndarray, volume: Volume) -> np.ndarray:
    """Convert a position in mm to voxels (x, y, z) of a volume."""
    return np.linalg.solve(np.reshape(volume.direction, (3, 3)), position - volume.origin) / volume.spacing


def _instance(header: SliceHeader, case: str) -> int:
    if header.instance is None:
        raise InputError(
            "the slice has no usable InstanceNumber, which boxes refer to",
            case=case,
            file=header.file,
            found="none, or not an integer",
            expected="an integer",
            hint="download the series again, or remove the patient from the table of boxes",
        )
    return header.instance
