import numpy as np
import pytest

from pre2post.evaluation.froc import RATES, curves, froc_rows
from pre2post.stats.params import StatisticsParams

OPTIONS = StatisticsParams(confidence_level=0.9, n_resamples=300, min_patients=3, margin_dice=0.05)


def volume(case, lesions=1, **more):
    return {"mix": "post", "domain": "test_pre", "case": case, "lesions": str(lesions)} | more


def piece(case, score, lesion, chance=0.0, **more):
    row = {"mix": "post", "domain": "test_pre", "case": case, "score": str(score)}
    return row | {"lesion": str(lesion), "chance": str(chance)} | more


def curve_of(volumes, pieces):
    return curves(volumes, pieces)["post", "test_pre"]


def test_the_curve_by_hand():
    """Two volumes with three lesions; the second piece on a lesion that is found already counts nothing."""
    volumes = [volume("a", 2), volume("b", 1)]
    pieces = [piece("a", 0.6, 0), piece("a", 0.9, 1), piece("a", 0.8, 1), piece("b", 0.7, 0), piece("b", 0.5, 1)]
    false, sensitivity, _ = curve_of(volumes, pieces).points()
    assert false.tolist() == [0, 0, 0, 0.5, 1, 1]
    np.testing.assert_allclose(sensitivity, [0, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3])


def test_chance_adds_up_within_a_volume():
    pieces = [piece("a", 0.9, 0, 0.5), piece("a", 0.8, 0, 0.5), piece("b", 0.7, 0, 0.2)]
    by_chance = curve_of([volume("a"), volume("b")], pieces).points()[2]
    np.testing.assert_allclose(by_chance, [0, 0.25, 0.375, 0.475])


def test_the_table_has_the_sensitivity_at_every_rate():
    volumes = [volume(case) for case in "abcd"]
    pieces = [piece("a", 0.9, 1, 0.1), piece("b", 0.8, 0, 0.1), piece("c", 0.7, 1, 0.1), piece("d", 0.6, 0, 0.1)]
    rows = froc_rows(curves(volumes, pieces), OPTIONS, 0)
    assert [row["false_positives"] for row in rows] == list(RATES)
    assert [row["sensitivity"] for row in rows] == [0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert [row["by_chance"] for row in rows] == [0.025, 0.075, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert rows[-1]["ci_low"] < 0.5 < rows[-1]["ci_high"] and rows[0]["n"] == 4


def test_resampled_sensitivities_are_those_of_the_resampled_volumes():
    rng = np.random.default_rng(0)
    volumes = [volume(f"v{number}", 1 + number % 2) for number in range(5)]
    pieces = [piece(f"v{rng.integers(5)}", rng.random(), rng.integers(0, 2)) for _ in range(20)]
    curve = curve_of(volumes, pieces)
    counts = np.array([[2, 0, 1, 1, 1]])
    drawn = [place for place, count in enumerate(counts[0]) for _ in range(count)]
    again = [volumes[place] | {"case": f"copy {number}"} for number, place in enumerate(drawn)]
    copies = [
        one | {"case": f"copy {number}"}
        for number, place in enumerate(drawn)
        for one in pieces
        if one["case"] == f"v{place}"
    ]
    wanted = curve_of(again, copies).sensitivities(np.ones((1, 5)))
    np.testing.assert_allclose(curve.sensitivities(counts), wanted)


def test_no_piece_finds_nothing_and_a_domain_without_lesions_has_no_curve():
    rows = froc_rows(curves([volume("a"), volume("b"), volume("c")], []), OPTIONS, 0)
    assert {(row["sensitivity"], row["by_chance"]) for row in rows} == {(0, 0)}
    assert curves([volume("a", 0)], []) == {}
    few = froc_rows(curves([volume("a")], [piece("a", 0.9, 1)]), OPTIONS, 0)
    assert few[0]["sensitivity"] == 1 and few[0]["ci_low"] is None


def test_trainings_of_one_mix_have_volumes_of_their_own():
    volumes = [volume("a", seed=seed) for seed in "12"]
    curve = curve_of(volumes, [piece("a", 0.9, 1, seed="1"), piece("a", 0.8, 1, seed="2")])
    assert curve.points()[1].tolist() == pytest.approx([0, 0.5, 1])
