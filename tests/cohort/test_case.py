"""Lists of cases are read as written, and a phase that a case lacks is refused."""

from pathlib import Path

import pytest

from pre2post.cohort.case import CASE, CASES, Case, find_cases, read_case, read_cases, write_case, write_cases
from pre2post.image.intensity import IntensityScale


def make(name, folder=Path("v"), mask=False, box=None):
    return Case(name, "A", ("pre", "post1"), mask, IntensityScale(0.125, 1234.5678901234567), folder / name, box)


def test_cases_are_read_sorted_by_id(tmp_path):
    cases = [make("P2", tmp_path, True), make("P1", tmp_path, box=(0, 2, 8, 9, 10, 12))]
    write_cases(tmp_path, cases)
    assert read_cases(tmp_path) == cases[::-1]
    assert len({*read_cases(tmp_path), *cases}) == 2


def test_a_case_is_read_with_its_row(tmp_path, refused):
    case = make("P2", tmp_path, True, box=(0, 2, 8, 9, 10, 12))
    write_case(case, {"case": "P2", "lesions": 1, "has_mask": True}, {"headroom": 3.0})
    assert read_case(case.folder) == (case, {"case": "P2", "lesions": "1", "has_mask": "True"})
    (case.folder / CASE).write_text("{}")
    refused(lambda: read_case(case.folder), CASE, "no usable 'case'")


@pytest.mark.parametrize("gather", [list, iter])
def test_cases_are_found_in_the_given_order_or_refused(refused, gather):
    cases = [make("P1"), make("P2"), make("P3")]
    assert find_cases(gather(["P3", "P1"]), gather(cases)) == [cases[2], cases[0]]
    assert find_cases(gather([]), gather(cases)) == []
    refused(lambda: find_cases(gather(["P1", "P9", "P8"]), gather(cases)), "case P9", "not ingested", "what to do")


def test_paths_by_role(refused):
    assert make("P1", mask=True).path("post1") == Path("v/P1/post1.nii")
    assert make("P1", mask=True).path("mask") == Path("v/P1/mask.nii.gz")
    refused(lambda: make("P1").path("mask"), "case P1", "no mask", "pre, post1")
    refused(lambda: make("P1").path("post2"), "case P1", "no post2")


def test_a_damaged_list_is_refused(tmp_path, refused):
    refused(lambda: read_cases(tmp_path), CASES, "missing")
    (tmp_path / CASES).write_text('[{"id": "P1"}]')
    refused(lambda: read_cases(tmp_path), CASES, "no usable")
    (tmp_path / CASES).write_text("[")
    refused(lambda: read_cases(tmp_path), CASES, "not JSON")
