"""Pixels of the stored DICOM images, counted as a viewer counts them, in the volume turned to LPS."""

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series
from pre2post.image.masks import Box
from pre2post.image.volume import Volume


def slice_numbers(series: Series) -> list[int]:
    """For each slice of the series, in order of position, its place (from 1) in the order of InstanceNumber.

    The place is the number itself where a series counts from 1; some scanners count on from phase to phase. Nothing
    ties it to the position: in about a third of the Duke patients it rises towards the feet. Raises InputError when a
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
            expected="a number of its own for each",
            hint="fetch the series again",
        )
    return [places[instance] for instance in instances]


def volume_box(series: Series, volume: Volume, first: tuple[int, int, int], last: tuple[int, int, int]) -> Box:
    """The box in `volume`, the series turned to LPS, between two stored pixels, both inside.

    `first` and `last` are (slice in order of position, row, column), all from 0.
    """
    corners = np.rint([_to_index(_position(series, *pixel), volume) for pixel in (first, last)]).astype(int)
    low, high = corners.min(axis=0), corners.max(axis=0) + 1
    return tuple(int(end) for axis in (2, 1, 0) for end in (low[axis], high[axis]))


def _position(series: Series, place: int, row: int, column: int) -> np.ndarray:
    """Centre of a stored pixel in mm (DICOM PS3.3 C.7.6.2.1.1), slices evenly spaced as they are in the volume."""
    head = series.head
    along_row, along_column = np.reshape(head.orientation, (2, 3))
    in_plane = along_row * (column * head.spacing[0]) + along_column * (row * head.spacing[1])
    return np.asarray(head.position) + in_plane + np.cross(along_row, along_column) * (place * series.step)


def _to_index(position: np.ndarray, volume: Volume) -> np.ndarray:
    """Where a position in mm lies in a volume, in voxels along (x, y, z)."""
    return np.linalg.solve(np.reshape(volume.direction, (3, 3)), position - volume.origin) / volume.spacing


def _instance(header: SliceHeader, case: str) -> int:
    if header.instance is None:
        raise InputError(
            "the slice has no usable InstanceNumber, by which boxes count slices",
            case=case,
            file=header.file,
            found="none, or no whole number",
            expected="a whole number",
            hint="fetch the series again, or take the patient out of the table of boxes",
        )
    return header.instance
