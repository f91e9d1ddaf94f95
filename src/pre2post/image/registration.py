"""Brings one volume onto the grid of another: by geometry alone, or after a rigid registration of the patient."""

import math
from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.body_mask import body_mask
from pre2post.image.itk import last_line
from pre2post.image.volume import Volume, describe_geometry, to_image

GRIDS_MM = (4.0, 1.0)  # voxels, coarse to fine: the first catches a few centimetres, the last gives the precision
BODY_MM = 2.0  # voxels on which the body is found
SAMPLES = 50_000  # points of the metric: twice as many cost twice the time and change the result by hundredths of a mm
TURN = (0.11, 0.07, 0.13)  # radians, of the grid of these points against the patient
HISTOGRAM_BINS = 64  # of Mattes mutual information (IEEE Trans. Med. Imaging 22, 2003)
BRIGHTEST = 95  # per cent of the voxels; what is brighter, such as blood with contrast, would take most of the bins
FIRST_STEP, LAST_STEP = 1.0, 0.005  # mm at the surface of the body
SHORTENING = 0.7  # of the step at each turn of the gradient; with 0.5 it may end before the goal
ITERATIONS = 200  # a level; 20 to 30 are usual
EDGE = 1e-3  # of a voxel: rounding in headers does not put a voxel outside
LEAST_OVERLAP = 0.25  # of the fixed grid: with less in common the metric means little
LEAST_INFORMATION = 0.1  # nats; two phases of one patient share about 1, unrelated noise shares hundredths
LARGEST_MM = 80.0  # of motion: a breast coil leaves no room for more, so that would be a wrong match


@dataclass(frozen=True)
class Motion:
    """A rigid motion of the patient from `fixed` to `moving`: angles in radians, then x, y, z in mm, about `centre`.

    `largest_mm` is the largest displacement of a point of the box around the body.
    """

    parameters: tuple[float, ...]
    centre: tuple[float, float, float]
    largest_mm: float

    def apply(self, moving: Volume, fixed: Volume) -> Volume:
        """`moving` on the grid of `fixed` with the motion undone: linear, float32, air outside the field of view."""
        return _resampled(moving, fixed, _euler(self.centre, self.parameters))


def resample_onto(moving: Volume, fixed: Volume, label: bool = False) -> Volume:
    """The values of `moving` on the grid of `fixed`: linear and float32, or nearest neighbour and uint8 for labels.

    Outside the field of view of `moving` lie its smallest value, which is air, and 0 for labels.
    """
    import SimpleITK as sitk

    return _resampled(moving, fixed, sitk.Transform(3, sitk.sitkIdentity), label)


def overlap(moving: Volume, fixed: Volume) -> float:
    """Share, 0 to 1, of the voxels of the grid of `fixed` whose centres lie in the field of view of `moving`."""
    steps = np.linalg.solve(_axes(moving), _axes(fixed))  # voxels of moving for a voxel of fixed
    start = np.linalg.solve(_axes(moving), np.subtract(fixed.origin, moving.origin))
    z, y, x = map(np.arange, fixed.array.shape)
    inside = 0
    for place in z:
        plane = np.ones((len(y), len(x)), bool)
        for axis, size in enumerate(moving.array.shape[::-1]):
            across, down, through = steps[axis]
            at = start[axis] + through * place + (down * y)[:, None] + across * x
            plane &= (at >= -0.5 - EDGE) & (at <= size - 0.5 + EDGE)
        inside += np.count_nonzero(plane)
    return inside / fixed.array.size


def rigid_motion(moving: Volume, fixed: Volume) -> Motion:
    """How the patient moved from `fixed`, the pre-contrast volume in LPS, to `moving`, by mutual information.

    Contrast may arrive between the two. The same input gives the same motion on every number of cores.
    Raises InputError when the two do not overlap, hold no body, or cannot be matched.
    """
    shared = overlap(moving, fixed)
    if shared < LEAST_OVERLAP:
        raise InputError(
            "the volumes cannot be registered, they lie apart",
            found=f"{shared:.0%} of the grid shared",
            expected=f"at least {LEAST_OVERLAP:.0%}; {describe_geometry(fixed)}, and {describe_geometry(moving)}",
            hint="look for a wrong series, or leave the case out",
        )
    body = _body_box(fixed)
    corners = body.corners()
    centre = tuple(map(float, corners.mean(axis=0)))
    transform, reach = _euler(centre, (0.0,) * 6), float(np.linalg.norm(corners - centre, axis=1).max())
    points = _points(corners, centre)
    for grid in GRIDS_MM:
        information = _refine(_shrunk(body, grid), _shrunk(moving, grid), points, transform, reach)
    motion = Motion(transform.GetParameters(), centre, _largest_move(transform, corners))
    if information < LEAST_INFORMATION or motion.largest_mm > LARGEST_MM:
        raise _no_match(
            f"{information:.2f} nats of mutual information after a motion of {motion.largest_mm:.1f} mm",
            f"at least {LEAST_INFORMATION} nats and at most {LARGEST_MM:g} mm",
        )
    return motion


def _refine(fixed, moving, points, transform, reach: float) -> float:
    """Improves `transform` in place on these images and returns the mutual information in nats.

    `reach` in mm turns an angle into the displacement that it makes at the surface of the body.
    """
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums over threads would change the last digits with the number of cores
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetVirtualDomainFromImage(points)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(FIRST_STEP, LAST_STEP, ITERATIONS, SHORTENING)
    method.SetOptimizerScales([reach**2] * 3 + [1.0] * 3)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise _no_match(last_line(error), "two images of one body") from None
    if method.GetOptimizerIteration() >= ITERATIONS:
        raise _no_match(f"no end after {ITERATIONS} steps", "a rigid motion that fits best")
    return -method.GetMetricValue()


def _points(corners: np.ndarray, centre: tuple[float, ...]):
    """The places where the images are compared: an image whose voxels are a slightly turned grid about the body.

    On the voxels' own grid the match would be held at whole voxels, where interpolation smooths no noise away.
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
        hint="look at the two phases, and leave the case out or set ingest.register_above_mm to 0",
    )


def _euler(centre: tuple[float, ...], parameters: tuple[float, ...]):
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre)
    transform.SetParameters(parameters)
    return transform


def _largest_move(transform, points: np.ndarray) -> float:
    """In mm. The displacement is a linear function of the place, so it is largest at a corner."""
    return max(math.dist(transform.TransformPoint(point), point) for point in points.tolist())


def _body_box(fixed: Volume) -> Volume:
    """The part of a volume that surrounds the body. Raises InputError when it is all air."""
    factors = _factors(fixed, BODY_MM)
    thinned = fixed.array[:: factors[2], :: factors[1], :: factors[0]]  # averages would change the noise of the air
    body = body_mask(thinned, tuple(np.multiply(fixed.spacing, factors).tolist()))
    if not body.any():
        raise _no_match("nothing but air in the pre-contrast volume", "a body")
    first = [int(np.flatnonzero(body.any(axis=others))[0]) for others in ((0, 1), (0, 2), (1, 2))] * np.array(factors)
    last = [int(np.flatnonzero(body.any(axis=others))[-1]) for others in ((0, 1), (0, 2), (1, 2))] * np.array(factors)
    x, y, z = (slice(begin, end + 1) for begin, end in zip(first, last, strict=True))
    return Volume(
        fixed.array[z, y, x], fixed.spacing, tuple((fixed.origin + _axes(fixed) @ first).tolist()), fixed.direction
    )


def _shrunk(volume: Volume, grid: float):
    """A SimpleITK image of averages over as many voxels as make up `grid` mm in each direction, the brightest cut."""
    import SimpleITK as sitk

    image = sitk.BinShrink(sitk.Cast(to_image(volume), sitk.sitkFloat32), _factors(volume, grid))
    limit = float(np.percentile(sitk.GetArrayViewFromImage(image), BRIGHTEST))
    return sitk.Minimum(image, limit)


def _factors(volume: Volume, grid: float) -> list[int]:
    return [
        max(1, min(int(grid / step), size // 4))
        for step, size in zip(volume.spacing, volume.array.shape[::-1], strict=True)
    ]


def _axes(volume: Volume) -> np.ndarray:
    """Columns: the move in mm for one voxel along x, y and z."""
    return np.reshape(volume.direction, (3, 3)) * volume.spacing


def _resampled(moving: Volume, fixed: Volume, transform, label: bool = False) -> Volume:
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
