import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pre2post.core.errors import InputError
from pre2post.stats.summary import holm, not_inferior, paired, rank_biserial, summarise

SETTINGS = {"confidence_level": 0.95, "n_resamples": 2000, "seed": [1, 2], "min_patients": 5}


def test_interval_equals_scipys_bca():
    values = np.random.default_rng(0).gamma(2, 3, 25)
    wanted = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, confidence_level=0.95, method="BCa", rng=np.random.default_rng([1, 2])
    ).confidence_interval
    found = summarise(values, **SETTINGS)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["sd"] == pytest.approx(np.std(values, ddof=1))
    assert found["median"] == pytest.approx(np.median(values))
    assert found["n"] == 25


def test_interval_has_about_its_nominal_coverage():
    """90 % intervals of the mean of 20 exponential values: at that size the coverage of BCa is slightly lower."""
    rng = np.random.default_rng(3)
    covered = []
    for seed in range(150):
        found = summarise(rng.exponential(size=20), 0.9, 400, seed, 5)
        covered.append(found["ci_low"] <= 1 <= found["ci_high"])
    assert 0.78 < np.mean(covered) < 0.97


def test_seed_and_confidence_matter_and_repeat():
    values = np.random.default_rng(1).normal(size=12)
    assert summarise(values, **SETTINGS) == summarise(values, **SETTINGS)
    assert summarise(values, **SETTINGS | {"seed": 9})["ci_low"] != summarise(values, **SETTINGS)["ci_low"]
    narrow, wide = summarise(values, **SETTINGS | {"confidence_level": 0.5}), summarise(values, **SETTINGS)
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=5, max_size=30))
def test_interval_is_finite_and_lies_within_the_values(values):
    found = summarise(values, **SETTINGS | {"n_resamples": 200})
    margin = 1e-6 * (1 + max(map(abs, values)))
    assert min(values) - margin <= found["ci_low"] <= found["ci_high"] <= max(values) + margin


@pytest.mark.parametrize("values", [[0.1 + 0.2, 0.3, 0.3, 0.3, 0.3], [7] * 6, [0.0] * 5])
def test_equal_values_have_an_interval_without_width(values):
    found = summarise(values, **SETTINGS)
    assert found["ci_low"] == found["ci_high"] == pytest.approx(values[0])


@pytest.mark.parametrize("values", [[1e-300, 2e-300, 3e-300, 5e-300, 8e-300], [1e150, 2e150, 3e150, 5e150, 8e150]])
def test_tiny_and_huge_values_keep_their_interval(values):
    found = summarise(values, **SETTINGS)
    assert values[0] < found["ci_low"] < found["ci_high"] < values[-1]


def test_few_patients_have_no_interval():
    found = summarise([1.0, 2.0, 4.0, 3.0], **SETTINGS)
    assert (found["ci_low"], found["ci_high"], found["n"], found["mean"]) == (None, None, 4, 2.5)
    assert summarise([3], **SETTINGS) == {"mean": 3, "sd": None, "median": 3, "ci_low": None, "ci_high": None, "n": 1}
    assert set(summarise([], **SETTINGS).values()) == {None, 0}


@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.int16])
def test_number_types_do_not_matter(kind):
    a, b = np.array([10, 3, 7, 200, 9, 4], kind), np.array([11, 1, 9, 100, 2, 8], kind)
    assert paired(a, b, **SETTINGS) == paired(a.astype(float), b.astype(float), **SETTINGS)


def test_paired_equals_scipy_and_is_about_the_difference():
    rng = np.random.default_rng(2)
    b = rng.normal(10, 5, 14)
    a = b + rng.normal(0.8, 1, 14)
    found = paired(a, b, **SETTINGS)
    assert found["p"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert {key: found[key] for key in ("mean", "ci_low", "ci_high")} == pytest.approx(
        {key: summarise(a - b, **SETTINGS)[key] for key in ("mean", "ci_low", "ci_high")}
    )
    assert found["ci_low"] > 0
    turned = paired(b, a, **SETTINGS)
    assert turned["p"] == pytest.approx(found["p"])
    assert turned["mean"] == pytest.approx(-found["mean"])


def test_paired_without_a_difference_or_with_few_patients():
    values = np.arange(8.0)
    assert paired(values, values, **SETTINGS)["p"] == 1
    few = paired([1.0, 2.0], [0.0, 0.0], **SETTINGS)
    assert (few["p"], few["ci_low"], few["n"], few["mean"]) == (None, None, 2, 1.5)
    assert paired([], [], **SETTINGS)["p"] is None


def test_paired_gives_the_effect_of_its_differences():
    rng = np.random.default_rng(4)
    a, b = rng.normal(1, 1, 9), rng.normal(0, 1, 9)
    assert paired(a, b, **SETTINGS)["rank_biserial"] == rank_biserial(a - b)
    assert paired(b, a, **SETTINGS)["rank_biserial"] == pytest.approx(-rank_biserial(a - b))
    assert paired([2.0, 1.0], [0.0, 3.0], **SETTINGS)["rank_biserial"] == 0  # no test, but an effect size
    assert paired([], [], **SETTINGS)["rank_biserial"] is None


def test_rank_biserial_by_hand():
    """The ranks of the absolute values are 1, 2, 3, 4; 2 and 4 are negative: (1 + 3 - 2 - 4) / 10."""
    assert rank_biserial([0.1, -0.2, 0.3, -0.4]) == pytest.approx(-0.2)
    assert rank_biserial([1, 2, 3]) == 1
    assert rank_biserial([-5]) == -1
    assert rank_biserial([0.0, 0.0, 2.0]) == 1  # a difference of 0 is no evidence for either side
    assert rank_biserial([1, -1]) == 0
    assert rank_biserial([0.0, 0.0]) == rank_biserial([]) == 0


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20).filter(any))
def test_rank_biserial_agrees_with_scipys_wilcoxon(differences):
    """Its one-sided statistic is the rank sum of the positive differences, also with ties."""
    positive, negative = (
        stats.wilcoxon(sign * np.array(differences), alternative="greater", method="asymptotic").statistic
        for sign in (1, -1)
    )
    assert rank_biserial(differences) == pytest.approx((positive - negative) / (positive + negative))


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=20), st.sampled_from([2.0, 32.0]))
def test_rank_biserial_is_antisymmetric_and_independent_of_the_unit(differences, factor):
    found = rank_biserial(differences)
    assert -1 <= found <= 1
    assert rank_biserial([factor * value for value in differences]) == found
    assert rank_biserial([-value for value in differences]) == pytest.approx(-found)


P_VALUES = st.lists(st.none() | st.floats(0, 1), max_size=12)


def test_holm_by_hand():
    """0.01 x 4, then 0.02 x 3; 0.03 x 2 and 0.04 x 1 must not be smaller."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1, 1]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_missing_tests_are_not_counted():
    assert holm([None, 0.02, None, 0.01]) == pytest.approx([None, 0.02, None, 0.02])
    assert holm([None, None]) == [None, None]


@given(P_VALUES)
def test_holm_equals_its_definition(p_values):
    """Holm 1979: the largest of (m - j + 1) p(j) over the values that are no larger."""
    tested = sorted(p for p in p_values if p is not None)
    m = len(tested)
    wanted = [None if p is None else min(1, max((m - j) * q for j, q in enumerate(tested) if q <= p)) for p in p_values]
    assert holm(p_values) == pytest.approx(wanted)


@given(P_VALUES)
def test_holm_raises_p_and_keeps_the_order(p_values):
    found = holm(p_values)
    assert [p is None for p in found] == [p is None for p in p_values]
    pairs = sorted((before, after) for before, after in zip(p_values, found, strict=True) if before is not None)
    assert all(before <= after <= 1 for before, after in pairs)
    assert [after for _, after in pairs] == sorted(after for _, after in pairs)
    assert all(after <= min(1, len(pairs) * before) for before, after in pairs)  # never stricter than Bonferroni


def test_results_are_plain_json():
    rng = np.random.default_rng(5)
    for result in (
        summarise(rng.random(9), **SETTINGS),
        paired(rng.random(9), rng.random(9), **SETTINGS),
        summarise([], **SETTINGS),
    ):
        assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_refuses_bad_values():
    with pytest.raises(InputError, match="not finite"):
        summarise([1.0, np.nan, 2.0], **SETTINGS)
    with pytest.raises(InputError, match="same patients"):
        paired([1.0, 2.0], [1.0], **SETTINGS)


SEEDS = {"confidence_level": 0.95, "n_resamples": 4000, "seed": 3, "min_patients": 5}


def test_a_single_seed_is_the_same_as_one_value_per_patient():
    values = np.random.default_rng(0).random(9)
    assert summarise(values[:, None], **SEEDS) == summarise(values, **SEEDS)
    assert paired(values[:, None], values[::-1, None], **SEEDS) == paired(values, values[::-1], **SEEDS)


def test_several_seeds_are_averaged_and_widen_the_interval_by_their_spread():
    rng = np.random.default_rng(1)
    patients = rng.normal(0, 1, (40, 1))
    alike, apart = (patients + spread * np.array([[-1.0, 1.0]]) for spread in (0.0, 2.0))
    narrow, wide = summarise(alike, **SEEDS), summarise(apart, **SEEDS)
    assert narrow["mean"] == pytest.approx(wide["mean"]) == pytest.approx(patients.mean())
    assert (narrow["n"], wide["n"]) == (40, 40)
    assert narrow["sd"] == pytest.approx(wide["sd"]) == pytest.approx(patients.std(ddof=1))
    assert wide["ci_high"] - wide["ci_low"] > 2 * (narrow["ci_high"] - narrow["ci_low"])
    one = summarise(patients, **SEEDS)  # equal seeds add nothing: nearly the interval of a single one
    assert (narrow["ci_low"], narrow["ci_high"]) == pytest.approx((one["ci_low"], one["ci_high"]), abs=0.05)


def test_pairs_need_the_same_seeds(refused):
    refused(lambda: paired(np.zeros((6, 2)), np.zeros((6, 1)), **SEEDS), "same patients and seeds")


@pytest.mark.parametrize(("shift", "wanted"), [(0.0, True), (-0.04, False), (-0.2, False), (0.1, True)])
def test_not_inferior_is_the_test_of_the_shifted_differences(shift, wanted):
    rng = np.random.default_rng(2)
    other = rng.random(20)
    mix = other + shift + rng.normal(0, 0.03, 20)
    p = not_inferior(mix, other, 0.05, 5)
    assert p == pytest.approx(min(1, 2 * stats.wilcoxon(mix - other + 0.05, alternative="greater").pvalue))
    assert (p < 0.05) == wanted


def test_not_inferior_without_patients_or_differences():
    assert not_inferior([1, 1, 1], [1, 1, 1], 0.05, 5) is None
    assert not_inferior([0.5] * 6, [0.5] * 6, 0.05, 5) == pytest.approx(2 / 2**6)  # every patient is above the margin
    assert not_inferior([0.25] * 6, [0.5] * 6, 0.25, 5) == 1
