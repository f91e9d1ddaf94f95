"""Resampling of one volume onto the grid of another, and rigid registration of a patient who moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.body_mask import body_mask
from pre2post.image.itk import last_line, to_image
from pre2post.image.volume import Vector, Volume, describe_geometry, vector

if TYPE_CHECKING:
    from SimpleITK import Euler3DTransform, Image, Transform

GRIDS_MM = (4.0, 1.0)  # voxels, coarse to fine: the first finds motions of centimetres, the last is precise
BODY_MM = 2.0  # voxels in which the body is found
SAMPLES = 50_000  # points of the metric: twice as many take twice the time and change the result by 0.01 mm
TURN = (0.11, 0.07, 0.13)  # radians, rotation of the grid of these points
HISTOGRAM_BINS = 64  # of Mattes mutual information (IEEE Trans. Med. Imaging 22, 2003)
CLIP_PERCENTILE = 95  # of the voxels; brighter ones, such as blood with contrast, would fill most of the bins
FIRST_STEP, LAST_STEP = 1.0, 0.005  # mm at the surface of the body
RELAXATION = 0.7  # of the step when the gradient turns; with 0.5 it may stop before the optimum
MAX_ITERATIONS = 200  # per level; 20 to 30 are usual
EDGE = 1e-3  # of a voxel: rounding in headers does not put a voxel outside
MIN_OVERLAP = 0.25  # of the fixed grid: with less the metric is unreliable
MIN_INFORMATION = 0.1  # nats; two phases of one patient have about 1, unrelated noise has hundredths
MAX_MOTION_MM = 80.0  # a breast coil prevents larger motions, so they indicate a wrong match


@dataclass(frozen=True)
class Motion:
    """A rigid motion of the patient from `fixed` to `moving`, about `centre`.

    parameters: three angles in radians, then x, y, z in mm. largest_mm: the largest displacement of a point of the box
    around the body.
    """

    parameters: tuple[float, ...]
    centre: Vector
    largest_mm: float

    def apply(self, moving: Volume, fixed: Volume) -> Volume:
        """Resample `moving` onto the grid of `fixed` with the motion undone: linear, float32, air outside its view."""
        return _resampled(moving, fixed, _euler(self.centre, self.parameters))


def resample_onto(moving: Volume, fixed: Volume, label: bool = False) -> Volume:
    """Resample `moving` onto the grid of `fixed`: linear and float32, or nearest neighbour and uint8 for labels.

    Outside the field of view of `moving` use its smallest value, which is air, or 0 for labels.
    """
    import SimpleITK as sitk

    return _resampled(moving, fixed, sitk.Transform(3, sitk.sitkIdentity), label)


def overlap(moving: Volume, fixed: Volume) -> float:
    """Return the fraction of voxels of `fixed` whose centres are in the field of view of `moving`."""
    steps = np.linalg.solve(_axes(moving), _axes(fixed))  # voxels of moving per voxel of fixed
    start = np.linalg.solve(_axes(moving), np.subtract(fixed.origin, moving.origin))
    z, y, x = map(np.arange, fixed.array.shape)
    inside = 0
    for place in z:
        plane = np.ones((len(y), len(x)), bool)
        for axis, size in enumerate(moving.array.shape[::-1]):
            across, down, through = steps[axis]
            at = start[axis] + through * place + (down * y)[:, None] + across * x
            plane &= (at >= -0.5 - EDGE) & (at <= size - 0.5 + EDGE)
        inside += int(np.count_nonzero(plane))
    return inside / fixed.array.size


def rigid_motion(moving: Volume, fixed: Volume) -> Motion:
    """Estimate the motion from `fixed`, the pre-contrast volume in LPS, to `moving`, by mutual information.

    `moving` may show contrast. The result does not depend on the number of cores.
    Raises InputError if the two do not overlap, hold no body, or cannot be matched.
    """
    shared = overlap(moving, fixed)
    if shared < MIN_OVERLAP:
        raise InputError(
            "the volumes cannot be registered, their fields of view differ",
            found=f"{shared:.0%} of the grid shared",
            expected=f"at least {MIN_OVERLAP:.0%}; {describe_geometry(fixed)}, and {describe_geometry(moving)}",
            hint="check for a wrong series, or leave the case out",
        )
    body = _body_box(fixed)
    corners = body.corners()
    centre = vector(corners.mean(axis=0))
    transform, reach = _euler(centre, (0.0,) * 6), float(np.linalg.norm(corners - centre, axis=1).max())
    points = _points(corners, centre)
    for grid in GRIDS_MM:
        information = _refine(_shrunk(body, grid), _shrunk(moving, grid), points, transform, reach)
    motion = Motion(transform.GetParameters(), centre, _largest_move(transform, corners))
    if information < MIN_INFORMATION or motion.largest_mm > MAX_MOTION_MM:
        raise _no_match(
            f"{information:.2f} nats of mutual information after a motion of {motion.largest_mm:.1f} mm",
            f"at least {MIN_INFORMATION} nats and at most {MAX_MOTION_MM:g} mm",
        )
    return motion


def _refine(fixed: "Image", moving: "Image", points: "Image", transform: "Transform", reach: float) -> float:
    """Optimise `transform` in place on these images and return the mutual information in nats.

    `reach` in mm converts an angle to the displacement at the surface of the body.
    """
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # with more threads the last digits would depend on the number of cores
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetVirtualDomainFromImage(points)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(FIRST_STEP, LAST_STEP, MAX_ITERATIONS, RELAXATION)
    method.SetOptimizerScales([reach**2] * 3 + [1.0] * 3)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise _no_match(last_line(error), "two images of one body") from None
    if method.GetOptimizerIteration() >= MAX_ITERATIONS:
        raise _no_match(f"no convergence after {MAX_ITERATIONS} steps", "a best rigid motion")
    return -method.GetMetricValue()


def _points(corners: np.ndarray, centre: Vector) -> "Image":
    """Return the sampling points of the metric: an image whose voxels form a slightly rotated grid around the body.

    On the voxels' own grid the match would be attracted to integer shifts, where nothing smooths the noise.
    """
    import SimpleITK as sitk

    extent = np.ptp(corners, axis=0)
    spacing = float(np.cbrt(np.prod(extent) / SAMPLES))
    size = np.maximum(np.ceil(extent / spacing).astype(int), 2)
    turn = np.reshape(_euler((0.0, 0.0, 0.0), (*TURN, 0.0, 0.0, 0.0)).GetMatrix(), (3, 3))
    points = sitk.Image(size.tolist(), sitk.sitkUInt8)
    points.SetSpacing([spacing] * 3)
    points.SetDirection(turn.ravel().tolist())
    points.SetOrigin((centre - turn @ ((size - 1) / 2 * spacing)).tolist())
    return points


def _no_match(found: str, expected: str) -> InputError:
    return InputError(
        "the volumes cannot be registered",
        found=found,
        expected=expected,
        hint="view the two phases; leave the case out or set ingest.register_above_mm to 0",
    )


def _euler(centre: Vector, parameters: Sequence[float]) -> "Euler3DTransform":
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre)
    transform.SetParameters(parameters)
    return transform


def _largest_move(transform: "Transform", points: np.ndarray) -> float:
    """Return the largest displacement of the points in mm; as it is linear in position, that of the body's box."""
    return max(math.dist(transform.TransformPoint(point), point) for point in points.tolist())


def _body_box(fixed: Volume) -> Volume:
    """Cut a volume to the box around the body. Raises InputError if it holds only air."""
    factors = _factors(fixed, BODY_MM)
    thinned = fixed.array[
        :: factors[2], :: factors[1], :: factors[0]
    ]  # by omission, since averages would change the noise of air
    body = body_mask(thinned, vector(np.multiply(fixed.spacing, factors)))
    if not body.any():
        raise _no_match("only air in the pre-contrast volume", "a body")
    first = [int(np.flatnonzero(body.any(axis=others))[0]) for others in ((0, 1), (0, 2), (1, 2))] * np.array(factors)
    last = [int(np.flatnonzero(body.any(axis=others))[-1]) for others in ((0, 1), (0, 2), (1, 2))] * np.array(factors)
    x, y, z = (slice(begin, end + 1) for begin, end in zip(first, last, strict=True))
    return Volume(fixed.array[z, y, x], fixed.spacing, vector(fixed.origin + _axes(fixed) @ first), fixed.direction)


def _shrunk(volume: Volume, grid: float) -> "Image":
    """Average over blocks of about `grid` mm in each direction, and clip at CLIP_PERCENTILE."""
    import SimpleITK as sitk

    image = sitk.BinShrink(sitk.Cast(to_image(volume), sitk.sitkFloat32), _factors(volume, grid))
    limit = float(np.percentile(sitk.GetArrayViewFromImage(image), CLIP_PERCENTILE))
    return sitk.Minimum(image, limit)


def _factors(volume: Volume, grid: float) -> list[int]:
    return [
        max(1, min(int(grid / step), size // 4))
        for step, size in zip(volume.spacing, volume.array.shape[::-1], strict=True)
    ]


def _axes(volume: Volume) -> np.ndarray:
    """Return a matrix whose columns are the steps in mm of one voxel along x, y and z."""
    return np.reshape(volume.direction, (3, 3)) * volume.spacing


def _resampled(moving: Volume, fixed: Volume, transform: "Transform", label: bool = False) -> Volume:
    import SimpleITK as sitk

    image = to_image(moving.like(moving.array.astype(np.uint8 if label else np.float32)))
    resample = sitk.ResampleImageFilter()
    resample.SetSize(fixed.array.shape[::-1])
    resample.SetOutputSpacing(fixed.spacing)
    resample.SetOutputOrigin(fixed.origin)
    resample.SetOutputDirection(fixed.direction)
    resample.SetTransform(transform)
    resample.SetInterpolator(sitk.sitkNearestNeighbor if label else sitk.sitkLinear)
    resample.SetDefaultPixelValue(0 if label else float(moving.array.min()))
    return fixed.like(sitk.GetArrayFromImage(resample.Execute(image)))
