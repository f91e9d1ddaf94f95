import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pre2post.core.errors import InputError
from pre2post.same.score import SCALINGS, same

METRICS = ("ssim", "mse", "mae", "fd_random", "fd_texture")
EQUAL = dict.fromkeys(METRICS, 1.0)
VALUES = st.floats(0.01, 1000).map(lambda value: round(value, 3))
TABLES = st.lists(st.tuples(*[VALUES] * len(METRICS)), min_size=2, max_size=6).map(
    lambda rows: {f"epoch_{i}": dict(zip(METRICS, row, strict=True)) for i, row in enumerate(rows)}
)
POSITIVE = st.floats(0.01, 100)


def scores(result):
    return np.array(list(result.scores.values()))


def test_by_hand():
    table = {"a": {"ssim": 0.5, "mse": 10}, "b": {"ssim": 0.9, "mse": 30}, "c": {"ssim": 0.8, "mse": 15}}
    result = same(table, {"ssim": 1, "mse": 1})
    assert result.components["c"] == pytest.approx({"ssim": 0.25, "mse": 0.25})
    assert result.scores == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.25})
    assert result.best == "c"
    assert result.notes == []


def test_other_scalings_by_hand():
    table = {"a": {"ssim": 0.5, "mse": 10.0}, "b": {"ssim": 1.0, "mse": 30.0}}
    assert same(table, {"ssim": 1, "mse": 3}, "max").scores == pytest.approx({"a": (0.5 + 3 / 3) / 4, "b": 3 / 4})
    assert same(table, {"ssim": 1, "mse": 3}, "zscore").scores == pytest.approx({"a": (1 - 3) / 4, "b": (-1 + 3) / 4})


@given(TABLES, st.sampled_from(METRICS), POSITIVE, st.floats(-100, 100))
def test_units_and_offsets_do_not_matter_under_minmax(table, metric, factor, offset):
    spread = np.ptp([row[metric] for row in table.values()])
    assume(spread == 0 or spread > 0.01)  # or rounding of the shifted values would count
    changed = {name: row | {metric: factor * row[metric] + offset} for name, row in table.items()}
    np.testing.assert_allclose(scores(same(changed, EQUAL)), scores(same(table, EQUAL)), atol=1e-6)


@given(TABLES, st.randoms(use_true_random=False), st.sampled_from(SCALINGS))
def test_order_of_checkpoints_does_not_matter(table, random, scaling):
    names = list(table)
    random.shuffle(names)
    shuffled, straight = same({name: table[name] for name in names}, EQUAL, scaling), same(table, EQUAL, scaling)
    assert shuffled.scores == pytest.approx(straight.scores, abs=1e-9)


@given(TABLES, st.tuples(*[POSITIVE] * len(METRICS)), POSITIVE, st.sampled_from(SCALINGS))
def test_only_the_ratio_of_weights_matters(table, weights, factor, scaling):
    given_ = dict(zip(METRICS, weights, strict=True))
    scaled = {metric: factor * weight for metric, weight in given_.items()}
    np.testing.assert_allclose(scores(same(table, scaled, scaling)), scores(same(table, given_, scaling)), atol=1e-9)


@given(TABLES, st.tuples(*[POSITIVE] * len(METRICS)), st.sampled_from(SCALINGS), st.data())
def test_a_dominated_checkpoint_is_never_selected(table, weights, scaling, data):
    """Worse in every metric than another one, and first in the table."""
    victim = data.draw(st.sampled_from(list(table)))
    worse = {metric: value - 0.005 if metric == "ssim" else value + 0.005 for metric, value in table[victim].items()}
    result = same({"dominated": worse} | table, dict(zip(METRICS, weights, strict=True)), scaling)
    assert result.best != "dominated"
    assert result.scores["dominated"] > result.scores[victim]


@given(TABLES)
def test_minmax_stays_between_0_and_1(table):
    result = same(table, EQUAL)
    assert all(0 <= value <= 1 for row in result.components.values() for value in row.values())
    assert all(0 <= score <= 1 for score in result.scores.values())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_an_equal_column_contributes_nothing_and_is_noted(scaling):
    table = {"a": {"mse": 0.1 + 0.2, "mae": 2.0}, "b": {"mse": 0.3, "mae": 1.0}}  # equal but for rounding
    result = same(table, {"mse": 1, "mae": 1}, scaling)
    assert [row["mse"] for row in result.components.values()] == [0, 0]
    assert result.best == "b"
    assert result.notes == ["mse is the same for all checkpoints and contributes 0"]


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_single_checkpoint_is_selected_with_a_note(scaling):
    result = same({"only": dict.fromkeys(METRICS, 3.0)}, EQUAL, scaling)
    assert (result.best, result.scores) == ("only", {"only": 0.0})
    assert "only checkpoint" in result.notes[0]


def test_of_equal_scores_the_first_is_selected():
    assert same({"early": {"mse": 1.0}, "late": {"mse": 1.0}}, {"mse": 1}).best == "early"


def test_weight_0_excludes_a_metric_even_if_not_finite():
    table = {"a": {"mse": 1.0, "mae": np.nan}, "b": {"mse": 2.0}}
    result = same(table, {"mse": 1, "mae": 0})
    assert result.best == "a"
    assert result.components == {"a": {"mse": 0}, "b": {"mse": 1}}


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_checkpoint_with_a_value_that_is_not_finite_is_excluded_with_a_note(bad, scaling):
    table = {"a": {"mse": 3.0, "mae": 1.0}, "broken": {"mse": 0.0, "mae": bad}, "b": {"mse": 2.0, "mae": 4.0}}
    found = same(table, {"mse": 2, "mae": 1}, scaling)
    wanted = same({name: table[name] for name in "ab"}, {"mse": 2, "mae": 1}, scaling)
    assert (found.scores, found.components, found.best) == (wanted.scores, wanted.components, wanted.best)
    assert found.notes == [f"checkpoint broken is excluded: its mae is {bad}"]


def test_a_value_that_is_not_finite_does_not_matter_without_weight():
    assert same({"a": {"mse": 1.0, "mae": np.inf}, "b": {"mse": 2.0, "mae": 1.0}}, {"mse": 1, "mae": 0}).notes == []


def test_the_only_finite_checkpoint_is_selected_with_both_notes():
    found = same({"broken": {"mae": np.nan}, "finite": {"mae": 7.0}}, {"mae": 1})
    assert (found.best, found.scores) == ("finite", {"finite": 0.0})
    assert len(found.notes) == 2 and "broken is excluded" in found.notes[0] and "only checkpoint" in found.notes[1]


@given(TABLES, st.sampled_from(SCALINGS), st.data())
def test_excluded_checkpoints_do_not_change_the_others(table, scaling, data):
    broken = data.draw(st.sets(st.sampled_from(list(table)), max_size=len(table) - 1))
    metric = data.draw(st.sampled_from(METRICS))
    spoilt = {name: row | {metric: np.nan} if name in broken else row for name, row in table.items()}
    found = same(spoilt, EQUAL, scaling)
    wanted = same({name: row for name, row in table.items() if name not in broken}, EQUAL, scaling)
    assert found.scores == wanted.scores and found.best == wanted.best
    assert (
        found.notes
        == [f"checkpoint {name} is excluded: its {metric} is nan" for name in table if name in broken] + wanted.notes
    )


def test_refuses_a_table_without_a_checkpoint_to_compare(refused):
    refused(
        lambda: same({"a": {"mse": np.nan}, "b": {"mse": np.inf}}, {"mse": 1}),
        "no checkpoint can be compared",
        "checkpoint a is excluded: its mse is nan",
        "checkpoint b is excluded: its mse is inf",
    )


@pytest.mark.parametrize("row", [{"mae": None}, {}])
def test_refuses_a_missing_value_by_name(row, refused):
    refused(lambda: same({"epoch_2": {"mae": 1.0}, "epoch_4": row}, {"mae": 1}), "checkpoint epoch_4 has no mae")


def test_refuses_unusable_settings():
    table = {"a": {"mse": 1.0}}
    with pytest.raises(InputError, match="scaling"):
        same(table, {"mse": 1}, "softmax")
    for weights in ({"mse": 0}, {"mse": -1}, {"mse": np.nan}, {}):
        with pytest.raises(InputError, match="weights"):
            same(table, weights)
    with pytest.raises(InputError, match="no checkpoint"):
        same({}, {"mse": 1})
