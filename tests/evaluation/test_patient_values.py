from dataclasses import replace

import numpy as np
import pytest
from repository import ROOT

from pre2post.evaluation.patient_values import OUTSIDE, Patient, patient_values
from pre2post.evaluation.synthesis_table import METHODS, REAL
from pre2post.metrics.continuity import continuity
from pre2post.metrics.enhancement import enhancement_shares, enhancing_pieces
from pre2post.metrics.legacy_uint8 import legacy_uint8, to_uint8
from pre2post.metrics.region_metrics import METRICS, region_metrics
from pre2post.metrics.separation import separation
from pre2post.metrics.ssim import ms_ssim
from pre2post.pipeline.params import load_params

SHAPE = (4, 24, 20)
SPACING = (5.0, 5.0, 5.0)
DEFAULTS = load_params(ROOT / "params.yaml").metrics


def params(**values):
    return type(DEFAULTS).model_validate(DEFAULTS.model_dump() | values)


@pytest.fixture
def patient():
    rng = np.random.default_rng(0)
    lesion, breast, other = (np.zeros(SHAPE, bool) for _ in range(3))
    lesion[1:3, 8:12, 3:7] = breast[:, 4:20, 1:19] = other[:, 4:20, 10:19] = True
    pre = rng.uniform(0, 0.5, SHAPE).astype(np.float32)
    real = (1.3 * pre + 0.3 * lesion).astype(np.float32)
    methods = {
        "synthetic": (real + rng.normal(0, 0.05, SHAPE)).astype(np.float32),
        "pre": pre,
        "lut": (1.3 * pre).astype(np.float32),
        "blur": (1.2 * pre).astype(np.float32),
        "oracle": (pre + 0.4 * lesion).astype(np.float32),
    }
    regions = {"whole": None, "breast": breast, "lesion": lesion, "contralateral": other}
    return Patient("test", "c1", pre, real, methods, regions, SPACING)


def values_of(patient, settings=None, slice_metrics=None, data_range=1.0):
    return patient_values(patient, settings or params(), data_range, slice_metrics or {})


def by_key(values):
    found = {(value.image, value.region, value.metric, value.method): value.value for value in values}
    assert len(found) == len(values)
    return found


def test_every_value_belongs_to_the_patient_and_is_a_number(patient):
    values = values_of(patient)
    assert {(value.split, value.case) for value in values} == {("test", "c1")}
    assert {value.method for value in values} == {*METHODS, REAL}
    assert {value.metric for value in values if value.method == REAL} == {"auc", "pieces", "any_pieces"}
    assert all(type(value.value) is float for value in values)


def test_the_post_contrast_image_has_every_metric_in_every_region(patient):
    found = by_key(values_of(patient))
    for method, volume in patient.methods.items():
        wanted = region_metrics(patient.real, volume, patient.regions, 1.0)
        for region, metrics in wanted.items():
            for metric in METRICS:
                assert found.get(("post", region, metric, method)) == metrics[metric], (region, metric)
    assert ("post", "whole", "ms_ssim", "synthetic") not in found  # too small for it, and never a None


def test_slices_large_enough_for_five_scales_have_ms_ssim_of_the_entire_volume():
    pre = np.random.default_rng(1).uniform(0, 0.5, (2, 176, 180)).astype(np.float32)
    region = np.zeros(pre.shape, bool)
    region[:, 50:60, 50:60] = True
    real, healthy = 1.3 * pre, ~region
    methods = dict.fromkeys(METHODS, pre)
    found = by_key(
        values_of(
            Patient("test", "c1", pre, real, methods, {"whole": None, "breast": healthy, "lesion": region}, SPACING)
        )
    )
    assert {key[:2] for key in found if key[2] == "ms_ssim"} == {("post", "whole")}
    assert found["post", "whole", "ms_ssim", "pre"] == pytest.approx(float(ms_ssim(real, pre, 1.0).mean()), rel=1e-9)


def test_the_subtraction_image_is_post_minus_pre(patient):
    found = by_key(values_of(patient))
    changes = patient.real - patient.pre, patient.methods["synthetic"] - patient.pre
    wanted = region_metrics(*changes, patient.regions, 1.0)
    for region in patient.regions:
        for metric in ("nmse", "ssim"):
            assert found["subtraction", region, metric, "synthetic"] == wanted[region][metric]
        # The pre-contrast image does not enhance, so its error is all of the enhancement.
        assert found["subtraction", region, "nmse", "pre"] == pytest.approx(1)
    assert {metric for image, region, metric, _ in found if image == "subtraction" and region == "whole"} == {
        "nmse",
        "ssim",
    }


def test_range_sigma_and_threshold_are_used(patient):
    changed = params(ssim_sigma=0.8, enhancement_threshold=0.25)
    found = by_key(values_of(patient, changed, data_range=2.0))
    wanted = region_metrics(patient.real, patient.methods["lut"], patient.regions, 2.0, 0.8)["lesion"]
    assert found["post", "lesion", "ssim", "lut"] == wanted["ssim"]
    assert found["post", "lesion", "psnr", "lut"] == wanted["psnr"]
    shares = enhancement_shares(
        patient.pre,
        patient.real,
        patient.methods["synthetic"],
        patient.regions["breast"],
        patient.regions["lesion"],
        0.25,
    )
    assert found["subtraction", OUTSIDE, "false", "synthetic"] == shares["false"]


def test_enhancement_and_continuity_have_one_region(patient):
    found = by_key(values_of(patient))
    for method, volume in patient.methods.items():
        shares = enhancement_shares(
            patient.pre, patient.real, volume, patient.regions["breast"], patient.regions["lesion"], 0.1
        )
        assert found["subtraction", OUTSIDE, "false", method] == shares["false"]
        assert found["subtraction", OUTSIDE, "missed", method] == shares["missed"]
        for axis, ratio in continuity(patient.real, volume, patient.regions["breast"]).items():
            assert found["post", "breast", f"continuity_{axis}", method] == ratio
    assert found["subtraction", OUTSIDE, "false", "pre"] == 0
    assert sum(metric.startswith("continuity") for _, _, metric, _ in found) == 3 * len(METHODS)


def test_a_patient_without_a_healthy_side_has_no_contralateral_values(patient):
    regions = {name: mask for name, mask in patient.regions.items() if name != "contralateral"}
    whole, found = (by_key(values_of(given)) for given in (patient, replace(patient, regions=regions)))
    assert found == {key: value for key, value in whole.items() if key[1] != "contralateral"}


def test_legacy_values_are_optional_and_marked(patient):
    without, found = (by_key(values_of(patient, params(legacy_uint8=on))) for on in (False, True))
    more = {key: value for key, value in found.items() if key not in without}
    assert not any("legacy" in metric for _, _, metric, _ in without)
    wanted = {
        ("post", "whole", name, method): value
        for method, volume in patient.methods.items()
        for name, value in legacy_uint8(to_uint8(patient.real), to_uint8(volume)).items()
    }
    assert more == wanted and len(more) == 3 * len(METHODS)


def test_slice_metrics_are_means_over_entire_slices(patient):
    def brightest(real, synthetic):
        return (synthetic - real).max(axis=(1, 2))

    found = by_key(values_of(patient, slice_metrics={"brightest": brightest}))
    for method, volume in patient.methods.items():
        assert found["post", "whole", "brightest", method] == pytest.approx(
            float((volume - patient.real).max(axis=(1, 2)).mean())
        )


def test_empty_regions_and_values_that_are_not_finite_are_refused(patient, refused):
    empty = patient.regions | {"lesion": np.zeros(SHAPE, bool)}
    refused(
        lambda: values_of(replace(patient, regions=empty)),
        "the region lesion is empty",
    )
    broken = patient.methods | {"lut": np.where(patient.pre > 0.2, np.nan, patient.pre)}
    refused(
        lambda: values_of(replace(patient, methods=broken)),
        "synthetic",
        "not finite",
    )


def test_the_lesion_is_separated_from_the_rest_of_the_breasts(patient):
    found = by_key(values_of(patient))
    lesion, rest = patient.regions["lesion"], patient.regions["breast"] & ~patient.regions["lesion"]
    for method, volume in (patient.methods | {REAL: patient.real}).items():
        assert found["post", "lesion", "auc", method] == separation(volume[lesion], volume[rest])
        change = volume - patient.pre
        assert found["subtraction", "lesion", "auc", method] == separation(change[lesion], change[rest])
    assert found["subtraction", "lesion", "auc", "pre"] == 0.5  # nothing enhances anywhere


def test_pieces_of_enhancement_are_counted_and_marked(patient):
    found = by_key(values_of(patient, params(enhancement_threshold=0.2)))
    for method, volume in patient.methods.items():
        wanted = enhancing_pieces(
            patient.pre, patient.real, volume, patient.regions["breast"], patient.regions["lesion"], 0.2, SPACING
        )
        for name, count in wanted.items():
            assert found["subtraction", "breast", name, method] == count
            assert found["subtraction", "breast", f"any_{name}", method] == (count > 0)
    assert found["subtraction", "breast", "missed_pieces", "pre"] == 1
    assert found["subtraction", "breast", "missed_pieces", "oracle"] == 0
