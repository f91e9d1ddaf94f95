from operator import getitem
from typing import NamedTuple

import pytest

from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import holm, summarise
from pre2post.stats.tables import corrected, grouped, interval_options


class Item(NamedTuple):
    a: str
    b: int
    c: str


def test_groups_come_in_order_of_first_appearance():
    items = [Item("y", 1, "p"), Item("x", 1, "q"), Item("y", 1, "r"), Item("y", 2, "s")]
    expected = [
        ({"a": "y", "b": 1}, [items[0], items[2]]),
        ({"a": "x", "b": 1}, [items[1]]),
        ({"a": "y", "b": 2}, [items[3]]),
    ]
    assert list(grouped(items, ("a", "b"))) == expected
    found = list(grouped([item._asdict() for item in items], ("a", "b"), getitem))
    assert found == [(key, [item._asdict() for item in own]) for key, own in expected]
    assert list(grouped([], ("a",))) == []


def test_the_section_statistics_gives_the_options_of_summarise():
    options = interval_options(
        StatisticsParams(confidence_level=0.5, n_resamples=100, min_patients=3, margin_dice=0.05), [1, 2]
    )
    assert summarise([1, 2, 4], **options) == summarise(
        [1, 2, 4], confidence_level=0.5, n_resamples=100, seed=[1, 2], min_patients=3
    )
    assert summarise([1, 2], **options)["ci_low"] is None


def test_a_family_is_corrected_as_one():
    rows = [{"x": place, "p": p, "p_holm": None, "n": 5} for place, p in enumerate((0.04, None, 0.01))]
    found = corrected(rows)
    assert [row["p_holm"] for row in found] == pytest.approx(holm([0.04, None, 0.01]))
    assert [{**row, "p_holm": None} for row in found] == rows
    assert list(found[0]) == ["x", "p", "p_holm", "n"]  # an existing column keeps its position
