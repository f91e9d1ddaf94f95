"""Everything that is measured on one patient's synthetic volume, and on the baselines beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pre2post.evaluation.synthesis_table import METHODS, Value
from pre2post.metrics.continuity import continuity
from pre2post.metrics.enhancement import enhancement_shares
from pre2post.metrics.legacy_uint8 import legacy_uint8, to_uint8
from pre2post.metrics.params import MetricsParams
from pre2post.metrics.region_metrics import region_metrics

OUTSIDE = "outside_lesion"  # of the breast: where enhancement is counted that is made up or missed
OF_SUBTRACTION = ("nmse", "ssim")  # its MAE and MSE are those of the post-contrast image


@dataclass(frozen=True)
class Patient:
    """One patient's volumes (z, y, x), normalised: before contrast, real post, each method's post; masks of regions.

    `split`: the patients it is counted with. `regions` holds "whole" (None: everything), "breast", "lesion" and, where
    there is one, "contralateral".
    """

    split: str
    id: str
    pre: np.ndarray
    real: np.ndarray
    methods: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray | None]


def patient_values(patient: Patient, settings: MetricsParams, more: Mapping[str, Callable]) -> list[Value]:
    """Values of every metric, in the post-contrast image and in the subtraction image, by method and region.

    `more`: slice metrics by name that are taken of whole post-contrast slices, such as LPIPS.
    Raises InputError for volumes of unequal shape, values not finite, or an empty region.
    """
    found = []
    for method in METHODS:
        synthetic = patient.methods[method]
        measured = [
            (
                "post",
                region_metrics(patient.real, synthetic, patient.regions, settings.data_range, settings.ssim_sigma),
                None,
            ),
            (
                "subtraction",
                region_metrics(
                    patient.real - patient.pre,
                    synthetic - patient.pre,
                    patient.regions,
                    settings.data_range,
                    settings.ssim_sigma,
                ),
                OF_SUBTRACTION,
            ),
        ]
        found += [
            Value(patient.split, patient.id, image, region, metric, method, value)
            for image, regions, kept in measured
            for region, metrics in regions.items()
            for metric, value in metrics.items()
            if value is not None and (kept is None or metric in kept)
        ]
        found += [
            Value(patient.split, patient.id, *key, method, value)
            for key, value in _once(patient, synthetic, settings, more)
        ]
    return found


def _once(patient: Patient, synthetic: np.ndarray, settings: MetricsParams, more: Mapping[str, Callable]):
    """Measures that belong to one region alone, as ((image, region, metric), value)."""
    shares = enhancement_shares(
        patient.pre,
        patient.real,
        synthetic,
        patient.regions["breast"],
        patient.regions["lesion"],
        settings.enhancement_threshold,
    )
    yield from ((("subtraction", OUTSIDE, kind), shares[kind]) for kind in ("false", "missed"))
    ratios = continuity(patient.real, synthetic, patient.regions["breast"])
    yield from ((("post", "breast", f"continuity_{axis}"), ratio) for axis, ratio in ratios.items())
    yield from (
        (("post", "whole", name), float(np.mean(metric(patient.real, synthetic)))) for name, metric in more.items()
    )
    if settings.legacy_uint8:
        legacy = legacy_uint8(to_uint8(patient.real), to_uint8(synthetic))
        yield from ((("post", "whole", name), value) for name, value in legacy.items())
