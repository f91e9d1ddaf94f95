"""DICOM to volume to NIfTI to slices and back: geometry and values are preserved, and dcm2niix agrees."""

import subprocess

import dcm2niix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.dicom.series import order_slices, read_series, scan_series
from pre2post.image.intensity import IntensityScale
from pre2post.image.slices import from_slices, to_slices
from pre2post.image.volume import same_geometry, to_lps
from pre2post.io.volume_file import read_volume, write_volume

AXIAL, ROTATED = (1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0)
millimetres = st.integers(-300_000, 300_000).map(lambda value: value / 1000)
steps = st.integers(300, 6000).map(lambda value: value / 1000)


def read(folder):
    (group,) = scan_series(folder, "P1")
    return read_series(order_slices(group, "P1"))


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(2, 9), st.integers(2, 9)),
    spacing=st.tuples(steps, steps, steps),
    origin=st.tuples(millimetres, millimetres, millimetres),
    orientation=st.sampled_from([AXIAL, ROTATED]),
    descending=st.booleans(),
    seed=st.integers(0, 99),
)
def test_geometry_and_values_are_preserved(
    tmp_path_factory, dicom, shape, spacing, origin, orientation, descending, seed
):
    folder = tmp_path_factory.mktemp("round")
    values = np.random.default_rng(seed).integers(0, 4096, shape)
    values[0, 0, :2] = 0, 4095
    dicom.save_series(
        folder / "dicom", values, orientation=orientation, spacing=spacing, origin=origin, descending=descending
    )
    write_volume(read(folder / "dicom"), folder / "pre.nii.gz")
    volume = read_volume(folder / "pre.nii.gz")
    scale, size = IntensityScale.from_pre(volume.array, 0.1, 99.9, 3), max(shape[1:])
    slices = to_slices(scale.normalise(volume.array), size)
    back = volume.like(scale.restore(from_slices(slices, volume.array.shape)))
    rotated = orientation == ROTATED
    np.testing.assert_allclose(back.array, values[:, ::-1, ::-1] if rotated else values, rtol=0, atol=2e-3)
    first = np.add(origin, (-spacing[0] * (shape[2] - 1), -spacing[1] * (shape[1] - 1), 0)) if rotated else origin
    np.testing.assert_allclose(back.spacing, spacing, rtol=1e-6)
    np.testing.assert_allclose(back.origin, first, atol=1e-4)
    np.testing.assert_allclose(back.direction, np.eye(3).ravel(), atol=1e-6)
    write_volume(back, folder / "synthetic.nii.gz")
    assert same_geometry(read_volume(folder / "synthetic.nii.gz"), volume, tolerance=0)


@pytest.mark.parametrize(
    "orientation, descending",
    [
        (AXIAL, False),
        (ROTATED, True),
        ((0, 1, 0, 0, 0, -1), False),
        ((0.981627, 0.190809, 0, -0.190809, 0.981627, 0), True),
    ],
)
@pytest.mark.parametrize("slope", [None, 1.5])
def test_dcm2niix_agrees(tmp_path, dicom, orientation, descending, slope):
    """dcm2niix is a widely used, independent reader of DICOM."""
    tags = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": -7}
    dicom.save_series(tmp_path / "dicom", dicom.body_array(5), orientation=orientation, descending=descending, **tags)
    subprocess.run(
        [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "pre", "-o", tmp_path, tmp_path / "dicom"],
        check=True,
        capture_output=True,
    )
    theirs, ours = to_lps(read_volume(tmp_path / "pre.nii")), read(tmp_path / "dicom")
    assert same_geometry(ours, theirs, tolerance=1e-3)
    np.testing.assert_allclose(ours.array, theirs.array, rtol=1e-6)
