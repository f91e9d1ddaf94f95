"""The check before ingestion: it tells what ingest does, writes nothing, and ends as `dvc repro` would."""

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import PRE2POST, code_of, environment
from repository import ROOT


def check(root: Path, *options: str, code: int = 0, cwd: Path = ROOT) -> tuple[str, str]:
    done = subprocess.run(
        [*PRE2POST, "check-cohort", root, *options],
        cwd=cwd,
        env=environment(**code_of(ROOT)),
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr.strip().splitlines()[-1] if code else ""


def test_a_sound_cohort(tmp_path, dicom):
    dicom.save_cohort(tmp_path)
    dicom.save_case(tmp_path, "P9")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    told, _ = check(tmp_path)
    assert "layout duke, 3 cases, 54 files" in told and "usable: 3, of these 1 with a mask and 0 with" in told
    assert "phases: pre (3), post1 (3), post2 (3)" in told and "20 x 16 x 6 voxels of 0.75 x 0.75 x 2.5 mm (3)" in told
    assert "P9: the folder is not in cases.csv" in told and "ingest about" in told and "unusable" not in told
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_every_fault_is_named_with_its_mending(tmp_path, dicom):
    dicom.save_cohort(tmp_path, 6)
    images = tmp_path / "Duke-Breast-Cancer-MRI"
    (images / "P2/study/2.000000-ax dyn 1st pass/1-003.dcm").unlink()
    shutil.rmtree(images / "P3/study/1.000000-ax dyn pre")
    shutil.rmtree(images / "P4")
    file = images / "P5/study/1.000000-ax dyn pre/1-001.dcm"
    file.write_bytes(file.read_bytes()[:-10])
    dicom.save_mask(tmp_path, "P1", origin=(-10, -20, 32.5))
    told, error = check(tmp_path, code=1)
    for words in (
        "unusable: 4",
        "case P2",
        "a slice is missing after 1-002.dcm",
        "case P3",
        "the phase pre is missing",
        "case P4",
        "no such folder",
        "case P5",
        "truncated",
        "warnings: 1",
        "case P1: the mask will be resampled",
        "usable: 2",
    ):
        assert words in told, words
    assert told.count("what to do: ") == 4
    assert "ingest would stop" in error and "4 unusable cases" in error and "ingest.on_error=skip" in error


def test_what_it_says_is_what_ingest_does(tmp_path, dicom, ingest_settings, sources_of):
    """Whatever the headers let pass or refuse, ingest does as well, with the same words."""
    from pre2post.ingest.ingest_case import ingest_case
    from pre2post.ingest.preflight import preflight_case

    dicom.save_cohort(tmp_path, 3)
    (tmp_path / "Duke-Breast-Cancer-MRI/P2/study/2.000000-ax dyn 1st pass/1-006.dcm").unlink()
    for entry in sources_of(tmp_path):
        said, done = preflight_case(entry), ingest_case(entry, tmp_path / "out", ingest_settings())
        assert str(said.error) == str(done.error), entry.case
        if done.case:
            assert said.phases == done.case.phases
            assert said.ingested == sum(
                (tmp_path / "out" / entry.case / f"{role}.nii").stat().st_size - 352 for role in said.phases
            )


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda root: None, "the folder of the cohort does not exist"),
        (lambda root: root.mkdir(), "empty"),
        (lambda root: (root / "holiday").mkdir(parents=True), "not a cohort in a known layout"),
    ],
)
def test_what_is_no_cohort_is_told_in_one_line(tmp_path, make, words):
    make(tmp_path / "x")
    assert words in check(tmp_path / "x", code=1)[1]


def test_nothing_usable(tmp_path, dicom):
    dicom.save_cohort(tmp_path, 2)
    for case in ("P1", "P2"):
        shutil.rmtree(tmp_path / f"Duke-Breast-Cancer-MRI/{case}/study/1.000000-ax dyn pre")
    told, error = check(tmp_path, code=1)
    assert "usable: 0" in told and "no case is usable" in error


def test_long_lists_are_cut_unless_all_is_asked_for(tmp_path, dicom):
    dicom.save_cohort(tmp_path, 1)
    for number in range(22):
        (tmp_path / f"Duke-Breast-Cancer-MRI/X{number:02d}").mkdir()
    told, _ = check(tmp_path)
    assert (
        "not cases: 22" in told and told.count(": the folder is not in") == 20 and "2 more: see them with --all" in told
    )
    told, _ = check(tmp_path, "--all")
    assert told.count(": the folder is not in") == 22 and "--all" not in told


def test_an_unknown_layout_is_named_with_the_known_ones(tmp_path, dicom):
    dicom.save_cohort(tmp_path, 1)
    error = check(tmp_path, "--layout", "bids", code=1)[1]
    assert "unknown layout" in error and "bids" in error and "duke, mama_mia, nifti" in error
