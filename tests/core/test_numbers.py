import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.core.numbers import rounded


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_six_digits_stay(value):
    assert rounded(value) == pytest.approx(value, rel=5.0000001e-6, abs=0)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1 / 3, 0.333333),
        (-1234567.8, -1234570.0),
        (0, 0),
        (7, 7),
        (1.23456789e-12, 1.23457e-12),
        (np.float32(0.1), 0.1),
        (np.int64(12), 12.0),
    ],
)
def test_by_hand(value, wanted):
    assert rounded(value) == wanted
    assert type(rounded(value)) is float


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_what_json_has_no_word_for_is_none(value):
    assert rounded(value) is None


@given(st.none() | st.floats())
def test_rounding_again_changes_nothing_and_json_takes_it(value):
    found = rounded(value)
    assert rounded(found) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found
