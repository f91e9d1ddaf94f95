"""The roster: roles, naming styles and traps of the cases."""

from collections import Counter

import pytest

from pre2post.core.errors import InputError
from pre2post.phantom.roster import STYLES, make_roster


def test_the_default_cohort_has_the_documented_roles():
    roles = Counter((case.site, case.masked) for case in make_roster(160, 2026))
    assert roles == {("A", True): 70, ("A", False): 60, ("B", True): 30}


@pytest.mark.parametrize("cases", [6, 10, 14, 23, 160])
def test_every_role_occurs_at_least_twice(cases):
    roster = make_roster(cases, 1)
    assert [case.id for case in roster] == [f"Breast_MRI_{n:03d}" for n in range(1, cases + 1)]
    roles = Counter((case.site, case.masked) for case in roster)
    assert set(roles) == {("A", True), ("A", False), ("B", True)} and min(roles.values()) >= 2


def test_every_style_and_trap_occurs_with_and_without_mask():
    roster = make_roster(160, 2026)
    assert {case.style for case in roster} == set(STYLES)
    for masked in (True, False):
        traps = {trap for case in roster if case.masked == masked for trap in case.traps}
        assert traps == {"descending", "rotated", "duplicated", "plain_t1"}


def test_too_few_cases_are_refused():
    with pytest.raises(InputError, match="at least 6"):
        make_roster(5, 2026)
