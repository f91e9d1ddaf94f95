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


def settings(**values):
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
    values = patient_values(patient, settings(), {})
    assert {(value.split, value.case) for value in values} == {("test", "c1")}
    assert {value.method for value in values} == set(METHODS)
    assert all(type(value.value) is float for value in values)


def test_the_post_contrast_image_has_every_metric_in_every_region(patient):
    found = by_key(patient_values(patient, settings(), {}))
    for method, volume in patient.methods.items():
        wanted = region_metrics(patient.real, volume, patient.regions, 1.0)
        for region, metrics in wanted.items():
            for metric in METRICS:
                assert found.get(("post", region, metric, method)) == metrics[metric], (region, metric)
    assert ("post", "whole", "ms_ssim", "synthetic") not in found  # too small for it, and never a None


def test_slices_that_hold_five_scales_have_ms_ssim_as_a_whole():
    pre = np.random.default_rng(1).uniform(0, 0.5, (2, 176, 180)).astype(np.float32)
    region = np.zeros(pre.shape, bool)
    region[:, 50:60, 50:60] = True
    real, healthy = 1.3 * pre, ~region
    methods = dict.fromkeys(METHODS, pre)
    found = by_key(
        patient_values(
            Patient("test", "c1", pre, real, methods, {"whole": None, "breast": healthy, "lesion": region}),
            settings(),
            {},
        )
    )
    assert {key[:2] for key in found if key[2] == "ms_ssim"} == {("post", "whole")}
    assert found["post", "whole", "ms_ssim", "pre"] == pytest.approx(float(ms_ssim(real, pre, 1.0).mean()), rel=1e-9)


def test_the_subtraction_image_is_post_minus_pre(patient):
    found = by_key(patient_values(patient, settings(), {}))
    changes = patient.real - patient.pre, patient.methods["synthetic"] - patient.pre
    wanted = region_metrics(*changes, patient.regions, 1.0)
    for region in patient.regions:
        for metric in ("nmse", "ssim"):
            assert found["subtraction", region, metric, "synthetic"] == wanted[region][metric]
        # Nothing enhances in the pre-contrast image: its error is the whole enhancement.
        assert found["subtraction", region, "nmse", "pre"] == pytest.approx(1)
    assert {metric for image, region, metric, _ in found if image == "subtraction" and region != OUTSIDE} == {
        "nmse",
        "ssim",
    }


def test_range_sigma_and_threshold_are_used(patient):
    changed = settings(data_range=2.0, ssim_sigma=0.8, enhancement_threshold=0.25)
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


def test_enhancement_and_continuity_are_taken_once(patient):
    found = by_key(patient_values(patient, settings(), {}))
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


def test_a_patient_without_a_healthy_side_has_no_values_of_it(patient):
    regions = {name: mask for name, mask in patient.regions.items() if name != "contralateral"}
    one_sided = Patient("test", "c1", patient.pre, patient.real, patient.methods, regions)
    whole, found = (by_key(patient_values(given, settings(), {})) for given in (patient, one_sided))
    assert found == {key: value for key, value in whole.items() if key[1] != "contralateral"}


def test_legacy_values_appear_when_asked_for_and_are_marked(patient):
    without, found = (by_key(patient_values(patient, settings(legacy_uint8=on), {})) for on in (False, True))
    more = {key: value for key, value in found.items() if key not in without}
    assert not any("legacy" in metric for _, _, metric, _ in without)
    wanted = {
        ("post", "whole", name, method): value
        for method, volume in patient.methods.items()
        for name, value in legacy_uint8(to_uint8(patient.real), to_uint8(volume)).items()
    }
    assert more == wanted and len(more) == 9


def test_more_metrics_are_means_over_whole_slices(patient):
    def brightest(real, synthetic):
        return (synthetic - real).max(axis=(1, 2))

    found = by_key(patient_values(patient, settings(), {"brightest": brightest}))
    for method, volume in patient.methods.items():
        assert found["post", "whole", "brightest", method] == pytest.approx(
            float((volume - patient.real).max(axis=(1, 2)).mean())
        )


def test_refuses_what_cannot_be_measured(patient, refused):
    empty = patient.regions | {"lesion": np.zeros(SHAPE, bool)}
    refused(
        lambda: patient_values(
            Patient("test", "c1", patient.pre, patient.real, patient.methods, empty), settings(), {}
        ),
        "the region lesion is empty",
    )
    broken = patient.methods | {"lut": np.where(patient.pre > 0.2, np.nan, patient.pre)}
    refused(
        lambda: patient_values(
            Patient("test", "c1", patient.pre, patient.real, broken, patient.regions), settings(), {}
        ),
        "synthetic",
        "not finite",
    )
