from math import comb

import numpy as np
import pytest

from pre2post.stats.summary import mcnemar


def pairs(both, only_first, only_second, neither):
    counts = ((1, 1, both), (1, 0, only_first), (0, 1, only_second), (0, 0, neither))
    return (
        [first for first, _, count in counts for _ in range(count)],
        [second for _, second, count in counts for _ in range(count)],
    )


def test_rates_and_discordant_pairs():
    found = mcnemar(*pairs(4, 3, 1, 2), 5)
    assert (found["first"], found["second"], found["only_first"], found["only_second"], found["n"]) == (
        0.7,
        0.5,
        3,
        1,
        10,
    )


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 1), (7, 0), (3, 1), (2, 9)])
def test_p_is_the_binomial_tail_of_the_discordant_pairs_twice(only_first, only_second):
    n, smaller = only_first + only_second, min(only_first, only_second)
    wanted = min(1, 2 * sum(comb(n, k) for k in range(smaller + 1)) / 2**n)
    assert mcnemar(*pairs(5, only_first, only_second, 5), 5)["p"] == pytest.approx(wanted)


def test_p_of_a_textbook():
    """Agresti 2002, table 10.1: approval of a prime minister in two surveys; the exact test gives 3.716e-5."""
    assert mcnemar(*pairs(794, 150, 86, 570), 5)["p"] == pytest.approx(3.716e-5, rel=0.01)


def test_concordant_pairs_do_not_matter_and_order_only_swaps_sides():
    first, second = pairs(9, 4, 1, 6)
    assert mcnemar(first, second, 5)["p"] == mcnemar(*pairs(0, 4, 1, 0), 5)["p"] == mcnemar(second, first, 5)["p"]


def test_p_is_1_without_a_difference_and_none_for_few_patients():
    assert mcnemar(*pairs(3, 0, 0, 2), 5)["p"] == 1
    assert mcnemar(*pairs(1, 3, 0, 0), 5)["p"] is None
    assert mcnemar([], [], 5) == {"first": None, "second": None, "only_first": 0, "only_second": 0, "p": None, "n": 0}


def test_numbers_and_booleans_are_alike_and_lengths_must_fit():
    first, second = pairs(2, 3, 1, 1)
    assert mcnemar(np.array(first, bool), second, 5) == mcnemar(first, np.array(second, float), 5)
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([1, 0], [1], 5)
