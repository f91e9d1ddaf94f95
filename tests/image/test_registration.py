"""The motion of a phase is found and undone, even if contrast arrived in between."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.image.registration import Motion, overlap, resample_onto, rigid_motion
from pre2post.image.volume import Volume

SHAPE = (40, 64, 80)
CENTRE = tuple((size - 1) / 2 for size in SHAPE[::-1])
STILL = (0.0,) * 6
MOVED = (0.03, -0.02, 0.04, 3.0, -2.0, 4.0)  # radians and mm


def rigid(parameters):
    transform = sitk.Euler3DTransform()
    transform.SetCenter(CENTRE)
    transform.SetParameters(parameters)
    return transform


def body(parameters=STILL, contrast=0.0, seed=1) -> Volume:
    """Two breasts on a chest wall with blobs of gland, moved as given; contrast brightens every third blob most.

    All edges are smooth over a voxel, since sharp edges would not show small motions.
    """
    back = rigid(parameters).GetInverse()
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    places = np.stack([x, y, z], axis=-1) @ np.reshape(back.GetMatrix(), (3, 3)).T + back.TransformPoint((0, 0, 0))
    half = np.array(SHAPE[::-1]) / 2
    x, y, z = np.moveaxis((places - CENTRE) / half, -1, 0)
    wall = smooth((y - 0.1) * half[1])
    breasts = smooth((1 - np.hypot((abs(x) - 0.45) / 0.35, (y - 0.15) / 0.7)) * 0.4 * half[0])
    tissue = (1 - (1 - wall) * (1 - breasts)) * smooth((0.9 - abs(x)) * half[0])
    signal, rng = 300 * tissue, np.random.default_rng(5)
    for number in range(60):
        (cx, cy, cz), size, gland = rng.uniform(-1, 1, 3), rng.uniform(0.04, 0.12), rng.uniform(-150, 250)
        blob = np.exp(-((x - 0.8 * cx) ** 2 + (y - 0.6 * cy - 0.1) ** 2 + (z - 0.9 * cz) ** 2) / (2 * size**2))
        signal += tissue * blob * gland * (1 + contrast * (0.3 if number % 3 else 2.5))
    noise = np.random.default_rng(seed)
    return Volume(np.hypot(signal + noise.normal(0, 10, SHAPE), noise.normal(0, 10, SHAPE)).astype(np.float32))


def smooth(inside_mm):
    return 1 / (1 + np.exp(-inside_mm / 0.6))


def worst(motion: Motion, parameters) -> float:
    """The largest error in mm of the found motion, over the corners of the volume."""
    found, true = rigid(STILL), rigid(parameters)
    found.SetCenter(motion.centre)
    found.SetParameters(motion.parameters)
    return max(
        np.linalg.norm(np.subtract(found.TransformPoint(point), true.TransformPoint(point)))
        for point in body().corners().tolist()
    )


@pytest.fixture(scope="module")
def still() -> Volume:
    return body()


@pytest.mark.parametrize("parameters", [MOVED, (0.0, 0.0, 0.0, 0.4, 0.3, -0.5)])
@pytest.mark.parametrize("contrast", [0.0, 1.0])
def test_a_known_motion_is_found(still, parameters, contrast):
    motion = rigid_motion(body(parameters, contrast, seed=2), still)
    assert worst(motion, parameters) < 0.3
    assert motion.largest_mm > 0.5


def test_without_motion_the_result_is_small(still):
    assert rigid_motion(body(seed=2), still).largest_mm < 0.1


def test_the_motion_is_undone(still):
    moved, unmoved = body(MOVED, 1.0, seed=2), body(STILL, 1.0, seed=3)
    back = rigid_motion(moved, still).apply(moved, still)
    inside = (slice(8, -8),) * 3
    before, after = (np.abs(volume.array - unmoved.array)[inside].mean() for volume in (moved, back))
    assert after < 15 < 40 < before  # noise of 10 in both leaves 11
    assert (back.spacing, back.origin, back.direction) == (still.spacing, still.origin, still.direction)


def test_the_number_of_threads_does_not_change_a_byte(still):
    moved = body(MOVED, 1.0, seed=2)
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for threads in (1, 4):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            motion = rigid_motion(moved, still)
            found.append((motion, motion.apply(moved, still).array.tobytes()))
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert found[0] == found[1]


def test_the_largest_motion_is_that_of_the_body_not_of_the_air(still):
    turned = (0.1, 0.0, 0.0, 0.0, 0.0, 0.0)  # about x: the front, which is air, moves most
    array = np.pad(still.array, ((0, 0), (40, 0), (0, 0)), mode="reflect")
    wide = replace(still, array=array, origin=(0.0, -40.0, 0.0))
    wide.array[:, :44] = np.abs(np.random.default_rng(4).normal(0, 12, wide.array[:, :44].shape))
    motion = rigid_motion(body(turned, seed=2), wide)
    corners = [0.1 * np.hypot(*np.subtract(point, CENTRE)[1:]) for point in wide.corners()]
    assert 2.5 < motion.largest_mm < 4.5 < max(corners)


def test_volumes_that_cannot_be_matched_are_refused(still, refused):
    apart = replace(still, origin=(0.0, 0.0, 35.0))
    refused(lambda: rigid_motion(apart, still), "fields of view differ", "12%")
    noise = still.like(np.random.default_rng(0).rayleigh(10, SHAPE).astype(np.float32))
    refused(lambda: rigid_motion(noise, still), "cannot be registered", "register_above_mm")
    empty = still.like(np.zeros(SHAPE, np.float32))
    refused(lambda: rigid_motion(empty, still), "cannot be registered")
    refused(lambda: rigid_motion(still, empty), "only air")


shifts = st.tuples(*[st.integers(-3, 3)] * 3)  # z, y, x


@given(shifts, st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_shift_by_whole_voxels_moves_the_values_exactly(shift, label):
    values = np.random.default_rng(7).integers(1, 200, (5, 6, 7)).astype(np.uint8 if label else np.float32)
    fixed = Volume(values, (0.7, 0.8, 2.5), (5.0, -3.0, 11.0))
    moving = replace(fixed, origin=tuple(np.add(fixed.origin, np.multiply(shift[::-1], fixed.spacing)).tolist()))
    found = resample_onto(moving, fixed, label)
    expected = np.full(values.shape, 0 if label else values.min(), values.dtype)
    here, there = zip(*(_common(step, size) for step, size in zip(shift, values.shape, strict=True)), strict=True)
    expected[here] = values[there]
    assert found.array.dtype == values.dtype
    np.testing.assert_allclose(found.array, expected, rtol=1e-5)
    assert overlap(moving, fixed) == pytest.approx(expected[here].size / values.size)


def _common(step: int, size: int) -> tuple[slice, slice]:
    return slice(max(step, 0), size + min(step, 0)), slice(max(-step, 0), size + min(-step, 0))


def test_a_finer_and_rotated_grid_shows_the_same_positions():
    z, y, x = np.meshgrid(*map(np.arange, (20, 20, 20)), indexing="ij")
    ramp = Volume((3 * x + 2 * y - z).astype(np.float32), origin=(-10.0, -10.0, -10.0))
    turned = Volume(
        np.zeros((8, 9, 10), np.float32),
        (0.5, 0.7, 0.9),
        (3.0, -4.0, -5.0),
        (0.0, -1.0, 0.0, 0.8, 0.0, -0.6, 0.6, 0.0, 0.8),
    )
    found = resample_onto(ramp, turned).array
    index = np.stack(np.meshgrid(*map(np.arange, turned.array.shape), indexing="ij")[::-1], axis=-1)
    place = (index * turned.spacing) @ np.reshape(turned.direction, (3, 3)).T + turned.origin + 10
    inside = ((place >= 0) & (place <= 19)).all(axis=-1)
    np.testing.assert_allclose(found[inside], (place @ [3, 2, -1])[inside], atol=1e-4)
    assert overlap(ramp, turned) == pytest.approx(((place >= -0.5) & (place <= 19.5)).all(axis=-1).mean())
    assert inside.mean() > 0.5


def test_overlap_is_one_for_equal_grids_and_zero_for_distant_ones(still):
    assert overlap(still, still) == 1
    assert overlap(replace(still, origin=(500.0, 0.0, 0.0)), still) == 0
