import numpy as np
import pytest
from repository import ROOT

from pre2post.evaluation.patient_values import OUTSIDE, Patient, patient_values
from pre2post.evaluation.synthesis_table import METHODS
from pre2post.metrics.continuity import continuity
from pre2post.metrics.enhancement import enhancement_shares
from pre2post.metrics.legacy_uint8 import legacy_uint8, to_uint8
from pre2post.metrics.region_metrics import METRICS, region_metrics
from pre2post.metrics.ssim import ms_ssim
from pre2post.pipeline.params import load_params

SHAPE = (4, 24, 20)
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
    }
    return Patient(
        "test", "c1", pre, real, methods, {"whole": None, "breast": breast, "lesion": lesion, "contralateral": other}
    )


def by_key(values):
    found = {(value.image, value.region, value.metric, value.method): value.value for value in values}
    assert len(found) == len(values)
    return found


def test_every_value_belongs_to_the_patient_and_is_a_number(patient):
    values = patient_values(patient, params(), {})
    assert {(value.split, value.case) for value in values} == {("test", "c1")}
    assert {value.method for value in values} == set(METHODS)
    assert all(type(value.value) is float for value in values)


def test_the_post_contrast_image_has_every_metric_in_every_region(patient):
    found = by_key(patient_values(patient, params(), {}))
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
        patient_values(
            Patient("test", "c1", pre, real, methods, {"whole": None, "breast": healthy, "lesion": region}),
            params(),
            {},
        )
    )
    assert {key[:2] for key in found if key[2] == "ms_ssim"} == {("post", "whole")}
    assert found["post", "whole", "ms_ssim", "pre"] == pytest.approx(float(ms_ssim(real, pre, 1.0).mean()), rel=1e-9)


def test_the_subtraction_image_is_post_minus_pre(patient):
    found = by_key(patient_values(patient, params(), {}))
    changes = patient.real - patient.pre, patient.methods["synthetic"] - patient.pre
    wanted = region_metrics(*changes, patient.regions, 1.0)
    for region in patient.regions:
        for metric in ("nmse", "ssim"):
            assert found["subtraction", region, metric, "synthetic"] == wanted[region][metric]
        # The pre-contrast image does not enhance, so its error is all of the enhancement.
        assert found["subtraction", region, "nmse", "pre"] == pytest.approx(1)
    assert {metric for image, region, metric, _ in found if image == "subtraction" and region != OUTSIDE} == {
        "nmse",
        "ssim",
    }


def test_range_sigma_and_threshold_are_used(patient):
    changed = params(data_range=2.0, ssim_sigma=0.8, enhancement_threshold=0.25)
    found = by_key(patient_values(patient, changed, {}))
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
    found = by_key(patient_values(patient, params(), {}))
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
    one_sided = Patient("test", "c1", patient.pre, patient.real, patient.methods, regions)
    whole, found = (by_key(patient_values(given, params(), {})) for given in (patient, one_sided))
    assert found == {key: value for key, value in whole.items() if key[1] != "contralateral"}


def test_legacy_values_are_optional_and_marked(patient):
    without, found = (by_key(patient_values(patient, params(legacy_uint8=on), {})) for on in (False, True))
    more = {key: value for key, value in found.items() if key not in without}
    assert not any("legacy" in metric for _, _, metric, _ in without)
    wanted = {
        ("post", "whole", name, method): value
        for method, volume in patient.methods.items()
        for name, value in legacy_uint8(to_uint8(patient.real), to_uint8(volume)).items()
    }
    assert more == wanted and len(more) == 9


def test_slice_metrics_are_means_over_entire_slices(patient):
    def brightest(real, synthetic):
        return (synthetic - real).max(axis=(1, 2))

    found = by_key(patient_values(patient, params(), {"brightest": brightest}))
    for method, volume in patient.methods.items():
        assert found["post", "whole", "brightest", method] == pytest.approx(
            float((volume - patient.real).max(axis=(1, 2)).mean())
        )


def test_empty_regions_and_values_that_are_not_finite_are_refused(patient, refused):
    empty = patient.regions | {"lesion": np.zeros(SHAPE, bool)}
    refused(
        lambda: patient_values(Patient("test", "c1", patient.pre, patient.real, patient.methods, empty), params(), {}),
        "the region lesion is empty",
    )
    broken = patient.methods | {"lut": np.where(patient.pre > 0.2, np.nan, patient.pre)}
    refused(
        lambda: patient_values(Patient("test", "c1", patient.pre, patient.real, broken, patient.regions), params(), {}),
        "synthetic",
        "not finite",
    )
