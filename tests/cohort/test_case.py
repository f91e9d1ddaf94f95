"""The list of cases comes back as it was written, and a phase that a case lacks is refused."""

from pathlib import Path

from cohort.case import CASES, Case, read_cases, write_cases
from imaging.scale import IntensityScale


def make(name, folder=Path("v"), mask=False):
    return Case(name, "A", ("pre", "post1"), mask, IntensityScale(0.125, 1234.5678901234567), folder / name)


def test_cases_come_back_sorted(tmp_path):
    cases = [make("P2", tmp_path, True), make("P1", tmp_path)]
    write_cases(tmp_path, cases)
    assert read_cases(tmp_path) == cases[::-1]


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
