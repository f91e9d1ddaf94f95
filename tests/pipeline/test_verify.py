"""Which numbers count as equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.pipeline.verify import Verdict, count_values, differences, select

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.dictionaries(st.text(st.characters(exclude_characters="."), min_size=1), inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_equal_has_no_difference(content):
    assert not [*differences(content, content, 0.0)]


@given(st.dictionaries(st.sampled_from("abc"), st.floats(0.1, 1), min_size=1), st.sampled_from([1e-3, 0.1]))
def test_a_share_may_be_tolerated(content, share):
    off = {name: value * (1 + share) for name, value in content.items()}
    assert len([*differences(content, off, 0.0)]) == len(content) == count_values(content)
    assert not [*differences(content, off, 1.01 * share)]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b: 1 in Git, 2 computed"),
        ({"a": 1}, {}, "a: 1 in Git, null computed"),
        ({}, {"a": 1}, "a: null in Git, 1 computed"),
        ({"a": 1}, {"a": True}, "a: 1 in Git, true computed"),
        ({"a": {"b": 1}}, {"a": 1}, 'a: {"b": 1} in Git, 1 computed'),
        (0.5, 0.25, "value: 0.5 in Git, 0.25 computed"),
        ({"a": "x"}, {"a": "y"}, 'a: "x" in Git, "y" computed'),
    ],
)
def test_differences_are_named(one, other, words):
    assert [*differences(one, other, 0.0)] == [words]


def test_a_part_is_selected_without_its_provenance(refused):
    content = {"a": {"b": 1, "c": 2}, "provenance": [{"commit": "x"}]}
    assert select(content, "", "x") == {"a": {"b": 1, "c": 2}}
    assert (select(content, "a", "x"), select(content, "a.b", "x")) == ({"b": 1, "c": 2}, 1)
    for key in ("provenance", "a.d", "a.b.c"):
        refused(lambda key=key: select(content, key, "same.json"), key, "same.json")


def test_a_verdict_names_the_first_differences():
    assert str(Verdict("a.json", "main", 3, [])) == "a.json: 3 values, all as in main"
    unequal = [f"x{number}: 1 in Git, 2 computed" for number in range(7)]
    text = str(Verdict("a.json:x", "HEAD", 9, unequal))
    assert text.startswith("a.json:x: 7 of 9 values differ: x0: 1 in Git") and text.endswith(
        "x4: 1 in Git, 2 computed; and 2 more"
    )
