"""Geometric primitives: distances, coverage, tubes, grids and noise fields."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.phantom.grid import Grid, block_mean, make_grid
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.shapes import cover, ellipsoid, smooth_union, tubes
from pre2post.phantom.tissues import AIR, TISSUES, Composition


def cube(n=24, spacing=2.0):
    return Grid((n, n, n), (spacing,) * 3, (-spacing * (n - 1) / 2,) * 3)


def test_distance_to_a_sphere_is_exact():
    axes = cube().axes()
    radius = np.sqrt(sum(a**2 for a in axes))
    np.testing.assert_allclose(ellipsoid(axes, (0, 0, 0), (15, 15, 15)), radius - 15, atol=1e-6)


@given(radius=st.floats(8, 18), shift=st.floats(-1, 1))
def test_covered_volume_of_a_sphere(radius, shift):
    grid = cube()
    volume = cover(ellipsoid(grid.axes(), (shift, 0, -shift), (radius,) * 3), 2.0).sum() * grid.voxel_volume
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)


def test_a_smooth_union_contains_both_and_fills_the_corner():
    a, b = np.meshgrid(np.linspace(-5, 5, 21), np.linspace(-5, 5, 21))
    union = smooth_union(a, b, 4.0)
    assert (union <= np.minimum(a, b)).all()
    np.testing.assert_array_equal(union[np.abs(a - b) >= 4], np.minimum(a, b)[np.abs(a - b) >= 4])
    assert smooth_union(np.array(0.0), np.array(0.0), 4.0) == -1


@pytest.mark.parametrize("end", [(18, 0, 0), (0, 0, 18), (12, -9, 6)])
def test_a_thin_tube_keeps_its_volume_in_any_direction(end):
    grid = cube()
    path = np.linspace(np.negative(end), end, 60)
    filled = tubes(grid, [path], [np.full(60, 0.6)])
    length = 2 * np.sqrt((np.array(end) ** 2).sum())
    assert filled.sum() * grid.voxel_volume == pytest.approx(np.pi * 0.6**2 * length * 60 / 59, rel=1e-6)


def test_a_tube_outside_the_grid_is_not_drawn():
    assert not tubes(cube(), [np.full((5, 3), 500.0)], [np.ones(5)]).any()


def test_the_voxels_of_a_finer_grid_average_to_those_of_the_grid():
    grid = make_grid(320, -125, 20, 6)
    box = grid.box((-30, -40, -20), (35, 20, 30))
    fine = grid.finer(box, 2)
    for coarse_axis, fine_axis, cut in zip(grid.axes(), fine.axes(), reversed(box), strict=True):
        np.testing.assert_allclose(fine_axis.ravel().reshape(-1, 2).mean(1), coarse_axis.ravel()[cut], atol=1e-9)
    ramp = np.broadcast_to(fine.axes()[0], fine.shape)
    np.testing.assert_allclose(block_mean(ramp, 2)[0, 0], grid.axes()[0].ravel()[box[2]], atol=1e-9)


def test_noise_has_zero_mean_and_unit_variance_and_is_independent_of_the_grid():
    field = NoiseField(np.random.default_rng(3), 5.0)
    grid = cube(40, 4.0)
    values = field.on(grid)
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(1, abs=0.1)
    x, y, z = (np.broadcast_to(a, grid.shape)[::7, ::5, ::3] for a in grid.axes())
    np.testing.assert_allclose(field.at(z, y, x), values[::7, ::5, ::3], atol=1e-9)


def test_noise_is_smooth_over_its_scale():
    field = NoiseField(np.random.default_rng(4), 10.0)
    x = np.arange(0, 300, 1.0)
    line = field.at(0 * x, 0 * x, x)
    assert np.abs(np.diff(line)).max() < 0.5
    assert np.corrcoef(line[:-20], line[20:])[0, 1] < 0.5


def test_composition_keeps_shares_and_labels_consistent():
    body = Composition((1, 1, 4))
    body.paint("fat", np.array([[[1.0, 1.0, 0.4, 0.0]]]))
    body.paint("gland", np.array([[[0.75]]]), (slice(None), slice(None), slice(1, 2)))
    np.testing.assert_allclose(body.shares["fat"].ravel(), [1, 0.25, 0.4, 0])
    np.testing.assert_allclose(body.shares["gland"].ravel(), [0, 0.75, 0, 0])
    assert body.labels().ravel().tolist() == [TISSUES["fat"].label, TISSUES["gland"].label, AIR, AIR]
