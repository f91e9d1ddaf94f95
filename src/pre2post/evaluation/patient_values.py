"""All metrics of one patient's synthetic volume and of its baselines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pre2post.evaluation.synthesis_table import METHODS, REAL, Value
from pre2post.image.volume import Vector
from pre2post.metrics.continuity import continuity
from pre2post.metrics.enhancement import enhancement_shares, enhancing_pieces
from pre2post.metrics.legacy_uint8 import legacy_uint8, to_uint8
from pre2post.metrics.params import MetricsParams
from pre2post.metrics.region_metrics import region_metrics
from pre2post.metrics.separation import separation

OUTSIDE = "outside_lesion"  # the breast without the lesion: the region of false and missed enhancement
SUBTRACTION_METRICS = ("nmse", "ssim")  # MAE and MSE are equal in subtraction and post-contrast image
REFERENCE_METRICS = (
    "auc",
    "pieces",
    "any_pieces",
)  # of the method `real` as well, since they compare no pair of images

SliceMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of real and synthetic slices (n, h, w), to (n,)


@dataclass(frozen=True)
class Patient:
    """One patient's volumes (z, y, x), normalised, and masks of regions.

    pre, real: pre-contrast and real post-contrast volume. methods: the post-contrast volume of each method. regions:
    "whole" (None: the entire volume), "breast", "lesion" and, if there is a healthy side, "contralateral". spacing: of
    the voxels (x, y, z) in mm.
    """

    split: str
    id: str
    pre: np.ndarray
    real: np.ndarray
    methods: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray | None]
    spacing: Vector


def patient_values(
    patient: Patient, params: MetricsParams, data_range: float, slice_metrics: Mapping[str, SliceMetric]
) -> list[Value]:
    """Return the values of all metrics of the post-contrast and the subtraction image, by method and region.

    data_range: of PSNR and SSIM, in normalised intensity. slice_metrics: further metrics of entire post-contrast slices
    by name, such as LPIPS. The method `real` has only REFERENCE_METRICS.

    Raises InputError for volumes of unequal shape, values that are not finite, or an empty region.
    """
    values = []
    for method in METHODS:
        synthetic = patient.methods[method]
        images = {
            "post": (patient.real, synthetic, None),
            "subtraction": (patient.real - patient.pre, synthetic - patient.pre, SUBTRACTION_METRICS),
        }
        values += [
            Value(patient.split, patient.id, image, region, metric, method, value)
            for image, (first, second, kept) in images.items()
            for region, metrics in region_metrics(first, second, patient.regions, data_range, params.ssim_sigma).items()
            for metric, value in metrics.items()
            if value is not None and (kept is None or metric in kept)
        ]
        values += [
            Value(patient.split, patient.id, image, region, metric, method, value)
            for image, region, metric, value in _values_of_one_region(patient, synthetic, params, slice_metrics)
        ]
    return values + [
        Value(patient.split, patient.id, image, region, metric, REAL, value)
        for image, region, metric, value in _without_a_pair(patient, patient.real, params)
        if metric in REFERENCE_METRICS
    ]


def _without_a_pair(patient: Patient, post: np.ndarray, params: MetricsParams) -> Iterator[tuple[str, str, str, float]]:
    """Yield image, region, metric and value of what separates the lesion, and of the pieces of enhancement."""
    breast, lesion = patient.regions["breast"], patient.regions["lesion"]
    assert breast is not None and lesion is not None  # only the region "whole" has no mask
    outside = breast & ~lesion
    yield "post", "lesion", "auc", separation(post[lesion], post[outside])
    change = post - patient.pre
    yield "subtraction", "lesion", "auc", separation(change[lesion], change[outside])
    found = enhancing_pieces(
        patient.pre, patient.real, post, breast, lesion, params.enhancement_threshold, patient.spacing
    )
    for name, count in found.items():
        yield "subtraction", "breast", name, float(count)
        yield "subtraction", "breast", f"any_{name}", float(count > 0)


def _values_of_one_region(
    patient: Patient, synthetic: np.ndarray, params: MetricsParams, slice_metrics: Mapping[str, SliceMetric]
) -> Iterator[tuple[str, str, str, float]]:
    """Yield image, region, metric and value of the metrics that are defined in one region alone."""
    breast, lesion = patient.regions["breast"], patient.regions["lesion"]
    assert breast is not None and lesion is not None  # only the region "whole" has no mask
    shares = enhancement_shares(
        patient.pre,
        patient.real,
        synthetic,
        breast,
        lesion,
        params.enhancement_threshold,
    )
    yield from (("subtraction", OUTSIDE, kind, shares[kind]) for kind in ("false", "missed"))
    yield from _without_a_pair(patient, synthetic, params)
    ratios = continuity(patient.real, synthetic, breast)
    yield from (("post", "breast", f"continuity_{axis}", ratio) for axis, ratio in ratios.items())
    for name, metric in slice_metrics.items():
        yield "post", "whole", name, float(np.mean(metric(patient.real, synthetic)))
    if params.legacy_uint8:
        legacy = legacy_uint8(to_uint8(patient.real), to_uint8(synthetic))
        yield from (("post", "whole", name, value) for name, value in legacy.items())
