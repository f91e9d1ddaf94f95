"""Writing a cohort: the same bytes on every run, resumable after a kill, and never over other files."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from commands import code_of, environment
from repository import ROOT

from pre2post.core.errors import InputError
from pre2post.core.spreadsheet import read_sheet
from pre2post.ingest.layouts.duke import read_listing
from pre2post.phantom import case as phantom_case
from pre2post.phantom import cohort as phantom_cohort
from pre2post.phantom.cohort import VERSION, write_cohort

TINY = {"cases": 6, "seed": 7, "matrix": 16, "slices": 4}
GOLDEN = "7c6efc181062fdfa8533da4951cea2e10b1d0974fbdde027a463950949daada7"


def fingerprint(folder):
    """Return the SHA-256 of names and contents of all files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def tiny(tmp_path):
    write_cohort(tmp_path / "data", **TINY, workers=1)
    return tmp_path / "data"


def test_the_bytes_do_not_depend_on_the_number_of_workers(tiny, tmp_path):
    write_cohort(tmp_path / "again", **TINY, workers=2)
    assert fingerprint(tmp_path / "again") == fingerprint(tiny)


def test_the_bytes_are_those_of_this_version(tiny):
    """They are the same on every machine. After an intended change of the phantom, raise VERSION and update GOLDEN."""
    assert VERSION == 3
    assert fingerprint(tiny) == GOLDEN


def test_the_table_of_truth_has_a_row_per_case_and_ingestion_ignores_it(tiny):
    rows = read_sheet(tiny / "phantom_truth.csv")
    listing = read_listing(tiny)
    assert [row["case"] for row in rows] == [source.case for source in listing.sources] and not listing.unlisted
    for row in rows:
        assert row["cancer"] in ("mass", "non-mass") and 0.03 <= float(row["k_trans"]) <= 1
        assert all(1 <= float(row[f"motion_{phase}_mm"]) <= 3 for phase in ("pre", "post2"))


def test_another_seed_gives_other_bytes(tiny, tmp_path):
    write_cohort(tmp_path / "other", **{**TINY, "seed": 8}, workers=1)
    assert fingerprint(tmp_path / "other") != fingerprint(tiny)


def test_a_complete_cohort_is_not_written_again(tiny):
    before = {file: file.stat().st_mtime_ns for file in tiny.rglob("*")}
    assert write_cohort(tiny, **TINY) is False
    assert {file: file.stat().st_mtime_ns for file in tiny.rglob("*")} == before


def test_a_damaged_or_different_cohort_is_replaced(tiny):
    complete = fingerprint(tiny)
    next(tiny.rglob("*.dcm")).unlink()
    assert write_cohort(tiny, **TINY, workers=1) is True
    assert fingerprint(tiny) == complete
    assert write_cohort(tiny, **{**TINY, "slices": 5}, workers=1) is True
    assert json.loads((tiny / "PHANTOM.json").read_text())["slices"] == 5
    assert not list(tiny.parent.glob(".data*"))


def test_a_killed_run_is_resumed(tiny, tmp_path, monkeypatch):
    write, written = phantom_case.write_case, []

    def stop_at_the_third(folder, case, **size):
        if len(written) == 2:
            (folder / ".work" / f"{case.id}.1").mkdir()
            raise KeyboardInterrupt
        written.append(case.id)
        write(folder, case, **size)

    monkeypatch.setattr(phantom_case, "write_case", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_cohort(tmp_path / "late", **TINY, workers=1)
    assert not (tmp_path / "late").exists()

    resumed = []
    monkeypatch.setattr(
        phantom_case,
        "write_case",
        lambda folder, case, **size: (resumed.append(case.id), write(folder, case, **size)),
    )
    write_cohort(tmp_path / "late", **TINY, workers=1)
    assert len(resumed) == 4 and not set(resumed) & set(written)
    assert fingerprint(tmp_path / "late") == fingerprint(tiny)


def test_a_run_killed_before_the_final_move_is_resumed(tiny, tmp_path, monkeypatch):
    """The table of boxes is written, and the saved boxes of the cases are removed already."""
    monkeypatch.setattr(phantom_cohort, "_swap", lambda partial, output: sys.exit())
    with pytest.raises(SystemExit):
        write_cohort(tmp_path / "late", **TINY, workers=1)
    monkeypatch.undo()
    partial = tmp_path / ".late.partial"
    settings = {"version": VERSION, **TINY}
    (partial / "PHANTOM.json").write_text(json.dumps({"unfinished": True, "settings": settings}))
    write_cohort(tmp_path / "late", **TINY, workers=1)
    assert fingerprint(tmp_path / "late") == fingerprint(tiny)


@pytest.mark.parametrize("name", ["scan.dcm", "cases.csv"])
def test_a_folder_that_is_not_a_phantom_is_refused(tmp_path, name):
    mine = tmp_path / "data" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InputError, match="not a phantom"):
        write_cohort(tmp_path / "data", **TINY, workers=1)
    assert mine.read_text() == "mine" and [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(InputError, match="not a phantom"):
        write_cohort(tmp_path / "data", **TINY, workers=1)


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "pre2post", "phantom", "--output", tmp_path / "data"]
    size = ["--matrix", "16", "--slices", "4", "--workers", "1"]
    env = environment(**code_of(ROOT))

    def run(cases: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *size, "--cases", cases], capture_output=True, text=True, env=env)

    good = run("6")
    assert good.returncode == 0 and good.stdout == f"{tmp_path / 'data'}: written\n" and "6/6" in good.stderr
    assert sorted(path.name for path in (tmp_path / "data/Duke-Breast-Cancer-MRI").iterdir()) == [
        f"Breast_MRI_{number:03d}" for number in range(1, 7)
    ]
    shutil.rmtree(tmp_path / "data")
    bad = run("2")
    assert bad.returncode == 1 and "too small" in bad.stderr and "Traceback" not in bad.stderr
