import json

import numpy as np
import pytest
from scipy import stats

from pre2post.evaluation.detection_table import DOMAINS, PROPERTIES, RATES, detection_rates, property_rows, summary
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired

OPTIONS = StatisticsParams(confidence_level=0.95, n_resamples=100, min_patients=5, margin_dice=0.05)
PATIENTS = {"test": 7, "external": 6}


def rows_of(mixes=("pre", "post"), patients=PATIENTS, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "mix": mix,
            "split": split,
            "case": f"{split}{case}",
            "size_ml": rng.random(),
            **{
                f"{name}_{image}": rng.random()
                for name in ("contrast", "heterogeneity", "entropy")
                for image in ("synthetic", "real")
            },
            "enhancement_error": -rng.random(),
            "detected_synthetic": int(case % 3 > 0),
            "detected_real": int(case != 4),
            "chance_synthetic": rng.random(),
            "chance_real": rng.random(),
            "dice_synthetic": rng.random(),
            "dice_real": rng.random(),
        }
        for mix in mixes
        for split, n in patients.items()
        for case in range(n)
    ]


def test_rates_are_the_fractions_of_each_mix_in_each_split_and_in_both():
    found = {(row["mix"], row["split"]): row for row in detection_rates(rows_of(), OPTIONS, 0)}
    assert list(dict.fromkeys(split for _, split in found)) == ["test", "external", "both"]
    assert len(found) == 6
    row = found["post", "both"]
    assert (row["synthetic"], row["real"]) == (pytest.approx(8 / 13, rel=1e-5), pytest.approx(11 / 13, rel=1e-5))
    assert (row["only_synthetic"], row["only_real"], row["n"]) == (2, 5, 13)
    own = [one for one in rows_of() if one["mix"] == "post"]
    assert row["real_by_chance"] == pytest.approx(np.mean([one["chance_real"] for one in own]), rel=1e-5)
    wanted = paired([one["detected_synthetic"] for one in own], [one["detected_real"] for one in own], 0.95, 100, 0, 5)
    assert (row["difference"], row["ci_low"], row["ci_high"]) == pytest.approx(
        (wanted["mean"], wanted["ci_low"], wanted["ci_high"]), rel=1e-5
    )
    assert found["pre", "test"]["n"] == 7


def test_a_single_split_is_not_repeated_as_both():
    rows = rows_of(patients={"test": 7})
    assert {row["split"] for row in detection_rates(rows, OPTIONS, 0)} == {"test"}
    assert {row["split"] for row in property_rows(rows, OPTIONS, 0)} == {"test"}


def test_every_property_is_correlated_with_the_dice_of_its_image_and_differences_with_differences():
    rows = rows_of()
    found = property_rows(rows, OPTIONS, 0)
    assert len(found) == 2 * 3 * len(DOMAINS) * len(PROPERTIES)
    for row in found:
        own = [one for one in rows if one["mix"] == row["mix"] and row["split"] in (one["split"], "both")]
        per_image = row["property"] not in ("size_ml", "enhancement_error")

        def values(name, domain, by_image, own=own):
            if not by_image:
                return np.array([one[name] for one in own])
            if domain == "difference":
                return values(name, "synthetic", True) - values(name, "real", True)
            return np.array([one[f"{name}_{domain}"] for one in own])

        wanted = stats.spearmanr(
            values(row["property"], row["domain"], per_image), values("dice", row["domain"], True)
        ).statistic
        assert row["spearman"] == pytest.approx(wanted, abs=1e-5)
        assert (row["n"], row["note"]) == (len(own), "")


def test_a_perfect_correlation_has_an_interval_of_one_point():
    rows = rows_of()
    for row in rows:
        row["dice_synthetic"] = row["size_ml"]
    found = property_rows(rows, OPTIONS, 0)
    assert [row["property"] for row in found[: len(PROPERTIES)]] == list(PROPERTIES)
    assert (found[0]["spearman"], found[0]["ci_low"], found[0]["ci_high"]) == (1, 1, 1)
    assert found[1]["ci_low"] < found[1]["spearman"] < found[1]["ci_high"]


def test_few_patients_have_no_interval_and_a_note():
    rows = rows_of(patients={"test": 4})
    assert detection_rates(rows, OPTIONS, 0)[0]["ci_low"] is None
    row = property_rows(rows, OPTIONS, 0)[0]
    assert row["spearman"] is not None and (row["ci_low"], row["ci_high"]) == (None, None)
    assert row["note"] == "4 patients: no interval with fewer than 5"


def test_a_constant_and_a_missing_property_have_a_note():
    rows = rows_of(("post",), {"test": 7})
    for place, row in enumerate(rows):
        row["size_ml"] = 1.0
        row["contrast_synthetic"] = None if place == 2 else row["contrast_synthetic"]
    found = {(row["domain"], row["property"]): row for row in property_rows(rows, OPTIONS, 0)}
    assert found["real", "size_ml"]["spearman"] is None and "same for all" in found["real", "size_ml"]["note"]
    assert [found[domain, "contrast"]["n"] for domain in DOMAINS] == [6, 7, 6]


def test_the_short_form_repeats_the_tables():
    rows = rows_of()
    rates, properties = detection_rates(rows, OPTIONS, 0), property_rows(rows, OPTIONS, 0)
    table = summary(rates, properties)
    assert list(table) == ["pre", "post"] and list(table["pre"]) == ["test", "external", "both"]
    for row in rates:
        cell = table[row["mix"]][row["split"]]
        assert list(cell) == [*RATES, "spearman"]
        assert all(cell[name] == row[name] for name in cell if name != "spearman")
        assert cell["spearman"] == {
            one["property"]: one["spearman"]
            for one in properties
            if (one["mix"], one["split"], one["domain"]) == (row["mix"], row["split"], "synthetic")
        }
        assert list(cell["spearman"]) == list(PROPERTIES)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert summary([], []) == {}
