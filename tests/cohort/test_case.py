"""The list of cases comes back as it was written, and a phase that a case lacks is refused."""

from pathlib import Path

import pytest

from cohort.case import CASES, Case, find_cases, read_cases, write_cases
from imaging.scale import IntensityScale
from pipeline.files import read_json, write_json


def make(name, folder=Path("v"), mask=False, box=None):
    return Case(name, "A", ("pre", "post1"), mask, IntensityScale(0.125, 1234.5678901234567), folder / name, box)


def test_cases_come_back_sorted(tmp_path):
    cases = [make("P2", tmp_path, True), make("P1", tmp_path, box=(0, 2, 8, 9, 10, 12))]
    write_cases(tmp_path, cases)
    assert read_cases(tmp_path) == cases[::-1]
    assert len({*read_cases(tmp_path), *cases}) == 2


def test_a_list_of_before_there_were_boxes_is_read(tmp_path):
    write_cases(tmp_path, [make("P1", tmp_path)])
    entries = read_json(tmp_path / CASES)
    del entries[0]["box"]
    write_json(tmp_path / CASES, entries)
    assert read_cases(tmp_path) == [make("P1", tmp_path)]


@pytest.mark.parametrize("gather", [list, iter])
def test_patients_are_found_in_the_order_asked_for_or_refused(refused, gather):
    cases = [make("P1"), make("P2"), make("P3")]
    assert find_cases(gather(["P3", "P1"]), gather(cases)) == [cases[2], cases[0]]
    assert find_cases(gather([]), gather(cases)) == []
    refused(lambda: find_cases(gather(["P1", "P9", "P8"]), gather(cases)), "case P9", "not ingested", "what to do")


def test_paths_by_role(refused):
    assert make("P1", mask=True).path("post1") == Path("v/P1/post1.nii.gz")
    assert make("P1", mask=True).path("mask") == Path("v/P1/mask.nii.gz")
    refused(lambda: make("P1").path("mask"), "case P1", "no mask", "pre, post1")
    refused(lambda: make("P1").path("post2"), "case P1", "no post2")


def test_a_damaged_list_is_refused(tmp_path, refused):
    refused(lambda: read_cases(tmp_path), CASES, "missing")
    (tmp_path / CASES).write_text('[{"id": "P1"}]')
    refused(lambda: read_cases(tmp_path), CASES, "site")
    (tmp_path / CASES).write_text("[")
    refused(lambda: read_cases(tmp_path), CASES, "not JSON")
