import json

import numpy as np
import pytest

from pre2post.evaluation.synthesis_table import (
    BASELINES,
    METHODS,
    PIECES,
    REAL,
    REGIONS,
    Value,
    distance_table,
    gain_rows,
    patient_rows,
    split_table,
    statistics_rows,
)
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired, rank_biserial, summarise

OPTIONS = StatisticsParams(confidence_level=0.9, n_resamples=100, min_patients=5, margin_dice=0.05)
SEED = [1, 7]
INTERVAL = {"confidence_level": 0.9, "n_resamples": 100, "seed": SEED, "min_patients": 5}


def values_of(by_method, split="test", image="post", region="whole", metric="mae"):
    """Return the values of patients p0, p1, ... from {method: numbers}."""
    return [
        Value(split, f"p{i}", image, region, metric, method, value)
        for method, numbers in by_method.items()
        for i, value in enumerate(numbers)
    ]


def random_values(seed, n=8, **key):
    rng = np.random.default_rng(seed)
    return values_of({method: rng.gamma(2, 3, n).tolist() for method in METHODS}, **key)


def test_one_row_per_patient_region_and_method():
    values = (
        values_of({"synthetic": [1.23456789, 2], "pre": [3, 4]})
        + values_of({"synthetic": [5]}, metric="ssim")
        + values_of({"synthetic": [9]}, image="subtraction", metric="nmse")
    )
    assert patient_rows(values, "post") == [
        {"split": "test", "case": "p0", "region": "whole", "method": "synthetic", "mae": 1.23457, "ssim": 5.0},
        {"split": "test", "case": "p1", "region": "whole", "method": "synthetic", "mae": 2.0, "ssim": None},
        {"split": "test", "case": "p0", "region": "whole", "method": "pre", "mae": 3.0, "ssim": None},
        {"split": "test", "case": "p1", "region": "whole", "method": "pre", "mae": 4.0, "ssim": None},
    ]
    assert patient_rows(values, "subtraction") == [
        {"split": "test", "case": "p0", "region": "whole", "method": "synthetic", "nmse": 9.0}
    ]
    assert patient_rows([], "post") == []


def test_infinity_stays_in_a_row():
    assert patient_rows(values_of({"synthetic": [np.inf]}, metric="psnr"), "post")[0]["psnr"] == np.inf


def test_statistics_are_those_of_the_patients():
    values = random_values(0) + random_values(1, region="lesion", metric="ssim") + random_values(2, split="external")
    rows = statistics_rows(values, OPTIONS, SEED)
    assert [tuple(row[name] for name in ("split", "image", "region", "metric", "method")) for row in rows] == [
        (split, "post", region, metric, method)
        for split, region, metric in (
            ("test", "whole", "mae"),
            ("test", "lesion", "ssim"),
            ("external", "whole", "mae"),
        )
        for method in METHODS
    ]
    for row in rows:
        own = [
            value.value
            for value in values
            if all(row[name] == getattr(value, name) for name in ("split", "image", "region", "metric", "method"))
        ]
        wanted = summarise(own, **INTERVAL)
        assert {name: row[name] for name in wanted} == pytest.approx(wanted, rel=1e-5)
        assert row["note"] == "" and row["ci_low"] < row["mean"] < row["ci_high"]


def test_few_patients_have_no_interval_and_a_note():
    row = statistics_rows(values_of({"synthetic": [1.0, 2.0, 6.0, 3.0]}), OPTIONS, SEED)[0]
    assert (row["mean"], row["median"], row["ci_low"], row["ci_high"], row["n"]) == (3, 2.5, None, None, 4)
    assert row["note"] == "4 patients: no interval and no test with fewer than 5"


def test_an_infinite_value_leaves_no_mean_and_a_note():
    row = statistics_rows(values_of({"synthetic": [40.0] * 6 + [np.inf]}, metric="psnr"), OPTIONS, SEED)[0]
    assert {row[name] for name in ("mean", "sd", "median", "ci_low", "ci_high")} == {None}
    assert row["n"] == 7 and "at least one patient is infinite" in row["note"]


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        ("mae", 1),
        ("mse", 1),
        ("lpips", 1),
        ("false_pieces", 1),
        ("ssim", -1),
        ("psnr", -1),
        ("ms_ssim", -1),
        ("auc", -1),
    ],
)
def test_a_gain_is_above_0_if_the_synthetic_image_is_better(metric, sign):
    values = random_values(3, metric=metric)
    by_method = {method: np.array([value.value for value in values if value.method == method]) for method in METHODS}
    for row, baseline in zip(gain_rows(values, OPTIONS, SEED), BASELINES, strict=True):
        better = sign * (by_method[baseline] - by_method["synthetic"])
        wanted = summarise(better, **INTERVAL)
        assert (row["metric"], row["baseline"], row["n"], row["note"]) == (metric, baseline, 8, "")
        assert {"gain": row["gain"], "ci_low": row["ci_low"], "ci_high": row["ci_high"]} == pytest.approx(
            {"gain": wanted["mean"], "ci_low": wanted["ci_low"], "ci_high": wanted["ci_high"]}, rel=1e-5
        )
        assert row["rank_biserial"] == pytest.approx(rank_biserial(better), abs=1e-5)


def test_patients_are_compared_with_themselves():
    """In any order, and only patients with both values."""
    synthetic, pre = [1.0, 2.0, 3.0, 4.0, 5.0], [2.5, 2.0, 9.0, 4.5, 7.0]
    values = (
        values_of({"synthetic": synthetic})
        + values_of({"pre": pre})[::-1]
        + [Value("test", "only", "post", "whole", "mae", "pre", 99.0)]
    )
    (row,) = gain_rows(values, OPTIONS, SEED)  # there is no lut
    wanted = paired(pre, synthetic, **INTERVAL)
    assert (row["baseline"], row["n"], row["gain"]) == ("pre", 5, pytest.approx(wanted["mean"]))


def test_few_patients_have_a_gain_without_test():
    row = gain_rows(values_of({"synthetic": [1.0, 2.0], "pre": [2.0, 4.0]}), OPTIONS, SEED)[0]
    assert (row["gain"], row["rank_biserial"], row["n"]) == (1.5, 1.0, 2)
    assert {row[name] for name in ("ci_low", "ci_high")} == {None}
    assert row["note"] == "2 patients: no interval and no test with fewer than 5"


def test_infinite_values_have_no_gain():
    values = values_of({"synthetic": [40.0] * 6, "pre": [30.0] * 5 + [np.inf], "lut": [20.0] * 6}, metric="psnr")
    assert [row["baseline"] for row in gain_rows(values, OPTIONS, SEED)] == ["lut"]


@pytest.mark.parametrize("metric", ["continuity_z", "legacy_uint8_mse", "legacy_uint8_psnr"])
def test_metrics_without_a_direction_have_no_gain(metric):
    assert gain_rows(random_values(4, metric=metric), OPTIONS, SEED) == []
    assert len(gain_rows(random_values(4, metric=metric) + random_values(5), OPTIONS, SEED)) == len(BASELINES)


def full_table(split="test"):
    values = []
    for place, region in enumerate(REGIONS):
        for metric in ("mae", "ssim", "psnr"):
            values += random_values(30 + place, region=region, metric=metric, split=split)
        values += random_values(35 + place, region=region, image="subtraction", metric="nmse", split=split)
    for axis in "zyx":
        values += random_values(40, region="breast", metric=f"continuity_{axis}", split=split)
    for kind in ("false", "missed"):
        values += random_values(50, image="subtraction", region="outside_lesion", metric=kind, split=split)
    for kind in PIECES:
        values += random_values(60, image="subtraction", region="breast", metric=kind, split=split)
        values += values_of({REAL: [1.0, 2.0]}, image="subtraction", region="breast", metric=kind, split=split)
    values += random_values(70, region="lesion", metric="auc", split=split)
    values += values_of({REAL: [0.9, 1.0]}, region="lesion", metric="auc", split=split)
    return statistics_rows(values, OPTIONS, SEED), gain_rows(values, OPTIONS, SEED)


def test_the_short_table_repeats_the_long_ones():
    statistics, gains = full_table()
    table = split_table("test", 8, statistics, gains)
    assert table["n"] == 8
    assert [name for name in table if name in REGIONS] == list(REGIONS)
    mean = {tuple(row[name] for name in ("image", "region", "metric", "method")): row for row in statistics}
    for region in REGIONS:
        for method in METHODS:
            for metric in ("mae", "ssim"):
                assert table[region][method][metric] == mean["post", region, metric, method]["mean"]
        for end in ("ci_low", "ci_high"):
            assert table[region]["synthetic"][end] == mean["post", region, "mae", "synthetic"][end]
        for baseline in BASELINES:
            (row,) = [
                row for row in gains if (row["region"], row["metric"], row["baseline"]) == (region, "mae", baseline)
            ]
            assert table[region][f"gain_over_{baseline}"] == {
                "mae": row["gain"],
                "ci_low": row["ci_low"],
                "ci_high": row["ci_high"],
            }
        for method in METHODS:
            assert table[region][method]["nmse_subtraction"] == mean["subtraction", region, "nmse", method]["mean"]
    for method in (*METHODS, REAL):
        assert table["auc"][method] == mean["post", "lesion", "auc", method]["mean"]
        assert table["enhancement"][method]["any_pieces"] == mean["subtraction", "breast", "any_pieces", method]["mean"]
    (row,) = [row for row in gains if (row["metric"], row["baseline"]) == ("auc", "pre")]
    assert table["auc"]["gain_over_pre"] == {"auc": row["gain"], "ci_low": row["ci_low"], "ci_high": row["ci_high"]}
    for method in METHODS:
        assert table["enhancement"][method]["missed"] == mean["subtraction", "outside_lesion", "missed", method]["mean"]
    assert table["continuity"]["z"] == mean["post", "breast", "continuity_z", "synthetic"]["mean"]


def shape_of(table):
    return {key: shape_of(value) for key, value in table.items()} if isinstance(table, dict) else None


def leaves(table):
    return [leaf for value in table.values() for leaf in (leaves(value) if isinstance(value, dict) else [value])]


def test_a_split_without_patients_keeps_the_keys():
    statistics, gains = full_table()
    full, empty = split_table("test", 8, statistics, gains), split_table("external", 0, statistics, gains)
    assert shape_of(empty) == shape_of(full)
    assert set(leaves(empty)) == {None, 0}
    assert None not in leaves(full)
    assert json.loads(json.dumps(full, allow_nan=False)) == full


def test_distances_by_name_and_compared_set():
    rows = [
        {"distance": distance, "compared": compared, "value": value, "n_real": 5, "n": n}
        for distance, compared, value, n in (
            ("fd_random", "synthetic", 1.5, 9),
            ("fd_random", "pre", 2.5, 9),
            ("fd_random", "halves", 0.5, 4),
            ("frd_v1", "synthetic", None, 3),
        )
    ]
    assert distance_table(rows) == {
        "distances": {
            "fd_random": {"synthetic": 1.5, "n": 9, "pre": 2.5, "halves": 0.5},
            "frd_v1": {"synthetic": None, "n": 3},
        }
    }
    assert distance_table([]) == {"distances": {}}
