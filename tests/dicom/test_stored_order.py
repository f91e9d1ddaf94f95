"""Pixels that an annotator marks in the stored images are the same voxels of the volume turned to LPS."""

import numpy as np
import pydicom
import pytest

from pre2post.dicom.series import order_slices, read_series, scan_series
from pre2post.dicom.stored_order import slice_numbers, volume_box
from pre2post.image.masks import bounding_box

ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "turned": (-1, 0, 0, 0, -1, 0),
    "mirrored": (-1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (0.96, 0.28, 0, -0.28, 0.96, 0),
}
MARK = 4000


def series(folder):
    (group,) = scan_series(folder, "P1")
    return order_slices(group, "P1")


def annotated(folder):
    """First and last (InstanceNumber, row, column) of the marked pixels, as a viewer shows them."""
    marked = []
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        marked += [(int(data.InstanceNumber), *pixel) for pixel in np.argwhere(data.pixel_array == MARK)]
    return np.min(marked, axis=0), np.max(marked, axis=0)


def renumber(folder, number):
    """Set every InstanceNumber to number(old one)."""
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.InstanceNumber = number(int(data.InstanceNumber))
        data.save_as(file)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("descending", [False, True])
def test_a_box_of_stored_pixels_encloses_the_marked_voxels(tmp_path, dicom, orientation, descending):
    array = dicom.body_array(0)
    array[1:3, 5:9, 11:18] = MARK
    dicom.save_series(tmp_path, array, orientation=orientation, descending=descending)
    first, last = annotated(tmp_path)
    found = series(tmp_path)
    volume = read_series(found)
    places = [slice_numbers(found).index(number) for number in (first[0], last[0])]
    box = volume_box(found, volume, (places[0], *first[1:]), (places[1], *last[1:]))
    assert box == bounding_box(volume.array == MARK)


@pytest.mark.parametrize("descending", [False, True])
def test_slices_are_ranked_by_instance_number_from_any_start(tmp_path, dicom, descending):
    dicom.save_series(tmp_path, dicom.body_array(0), descending=descending)
    numbers = slice_numbers(series(tmp_path))
    assert numbers == ([6, 5, 4, 3, 2, 1] if descending else [1, 2, 3, 4, 5, 6])
    renumber(tmp_path, lambda number: 160 + 2 * number)
    assert slice_numbers(series(tmp_path)) == numbers


@pytest.mark.parametrize(
    "number, words",
    [(lambda number: min(number, 5), "share one InstanceNumber"), (lambda number: None, "no usable InstanceNumber")],
)
def test_slices_without_distinct_numbers_are_refused(tmp_path, dicom, refused, number, words):
    dicom.save_series(tmp_path, dicom.body_array(0))
    renumber(tmp_path, number)
    refused(lambda: slice_numbers(series(tmp_path)), "case P1", words, "found", "expected", "what to do")
