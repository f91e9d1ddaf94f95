import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from repository import ROOT

from pre2post.core.errors import InputError
from pre2post.phantom import case as phantom_case
from pre2post.phantom import cohort as phantom_cohort
from pre2post.phantom.cohort import VERSION, write_cohort

TINY = {"cases": 6, "seed": 7, "matrix": 16, "slices": 4}
GOLDEN = "2a2d8e256ef5156cb892441c91ad3756ccb637dbb81fcf8f111f97384f7fd32e"


def fingerprint(folder):
    """SHA-256 over names and contents of all files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def tiny(tmp_path):
    write_cohort(tmp_path / "data", **TINY, workers=1)
    return tmp_path / "data"


def test_same_bytes_with_more_workers(tiny, tmp_path):
    write_cohort(tmp_path / "again", **TINY, workers=2)
    assert fingerprint(tmp_path / "again") == fingerprint(tiny)


def test_bytes_are_those_of_this_version(tiny):
    """The same on every machine. A change of the phantom is meant to fail here: raise VERSION and renew the number."""
    assert VERSION == 2
    assert fingerprint(tiny) == GOLDEN


def test_another_seed_gives_other_bytes(tiny, tmp_path):
    write_cohort(tmp_path / "other", **{**TINY, "seed": 8}, workers=1)
    assert fingerprint(tmp_path / "other") != fingerprint(tiny)


def test_complete_folder_is_left_alone(tiny):
    before = {file: file.stat().st_mtime_ns for file in tiny.rglob("*")}
    assert write_cohort(tiny, **TINY) is False
    assert {file: file.stat().st_mtime_ns for file in tiny.rglob("*")} == before


def test_damaged_or_differing_folder_is_made_anew(tiny):
    whole = fingerprint(tiny)
    next(tiny.rglob("*.dcm")).unlink()
    assert write_cohort(tiny, **TINY, workers=1) is True
    assert fingerprint(tiny) == whole
    assert write_cohort(tiny, **{**TINY, "slices": 5}, workers=1) is True
    assert json.loads((tiny / "PHANTOM.json").read_text())["slices"] == 5
    assert not list(tiny.parent.glob(".data*"))


def test_killed_run_is_carried_on(tiny, tmp_path, monkeypatch):
    write, written = phantom_case.write_case, []

    def die_at_the_third(folder, entry, **size):
        if len(written) == 2:
            (folder / ".work" / f"{entry.id}.1").mkdir()
            raise KeyboardInterrupt
        written.append(entry.id)
        write(folder, entry, **size)

    monkeypatch.setattr(phantom_case, "write_case", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_cohort(tmp_path / "late", **TINY, workers=1)
    assert not (tmp_path / "late").exists()

    resumed = []
    monkeypatch.setattr(
        phantom_case,
        "write_case",
        lambda folder, entry, **size: (resumed.append(entry.id), write(folder, entry, **size)),
    )
    write_cohort(tmp_path / "late", **TINY, workers=1)
    assert len(resumed) == 4 and not set(resumed) & set(written)
    assert fingerprint(tmp_path / "late") == fingerprint(tiny)


def test_a_run_killed_at_the_very_end_is_carried_on(tiny, tmp_path, monkeypatch):
    """Between the table of boxes and the swap, with what the boxes came from already removed."""
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


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(InputError, match="not a phantom"):
        write_cohort(tmp_path / "data", **TINY, workers=1)


def test_command_line(tmp_path):
    arguments = [
        sys.executable,
        str(ROOT / "src/make_phantom.py"),
        "--output",
        str(tmp_path / "data"),
        "--matrix",
        "16",
        "--slices",
        "4",
        "--workers",
        "1",
    ]
    good = subprocess.run([*arguments, "--cases", "6"], capture_output=True, text=True, check=True)
    assert good.stdout.endswith("written\n")
    assert "6/6" in good.stderr
    shutil.rmtree(tmp_path / "data")
    bad = subprocess.run([*arguments, "--cases", "2"], capture_output=True, text=True)
    assert bad.returncode == 1 and "too small" in bad.stderr and "Traceback" not in bad.stderr
