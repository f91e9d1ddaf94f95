"""Damaged cohorts through the real commands: ingest stops or skips, and check-cohort reports the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import code_of, environment
from params_file import change_params
from repository import ROOT

from pre2post.core.files import read_table

INGEST = ROOT / "src/ingest.py"
RESULTS = ("artifacts", "plots", "metrics")


def lines_of_a_header(place):
    """A truncated slice whose name has a line break, and a folder next to the cases whose name is not valid UTF-8."""
    file = place.image()
    file.with_name("line\nbreak.dcm").write_bytes(file.read_bytes()[:-9])
    file.unlink()
    os.mkdir(os.fsencode(file.parents[3]) + b"/no\xfftext")


def pipe_for_a_mask(place):
    place.image("mask").unlink()
    os.mkfifo(place.root / "C2_mask.nii.gz")


def endless_name(place):
    place.write(place.root / "cases.csv", (place.root / "cases.csv").read_text().replace("C2_pre.nii", "x" * 5000))


def broken_volume(place):
    place.write(place.image("post1"), place.image("post1").read_bytes()[:-20])


def run(folder: Path, *arguments: str | Path, on_error: str = "raise") -> subprocess.CompletedProcess:
    """Run Python with these arguments; a traceback or a warning fails the test."""
    change_params(folder / "params.yaml", {"ingest.on_error": on_error}, source=ROOT / "params.yaml")
    env = environment(**code_of(ROOT))
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done


def results(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for name in RESULTS for file in (folder / name).rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "layout, damage",
    [("duke", lines_of_a_header), ("own", pipe_for_a_mask), ("own", endless_name), ("mama_mia", broken_volume)],
)
def test_the_commands_agree(layout, damage, request, tmp_path):
    cohort = request.getfixturevalue(layout)
    shutil.copytree(cohort.root, tmp_path / "data", copy_function=os.link)
    assert run(tmp_path, INGEST).returncode == 0
    shutil.rmtree(tmp_path / "data")
    damage(cohort.copy(tmp_path))
    before = results(tmp_path)

    stopped = run(tmp_path, INGEST)
    message = stopped.stderr.strip().splitlines()[-1]
    assert stopped.returncode == 1 and stopped.stderr.count("error: ") == 1
    assert message.startswith(f"error: case {cohort.bad}") and message.isprintable()
    assert results(tmp_path) == before and len(before) == 3 * 4 + 2, sorted(
        before
    )  # pre, post1, mask, case.json; two tables

    checked = run(tmp_path, "-m", "pre2post", "check-cohort", "data")
    assert (checked.returncode == 1 and "ingest would stop" in checked.stderr) or layout == "mama_mia"
    reported = [line for line in checked.stdout.splitlines() if f"case {cohort.bad}" in line]
    assert len(reported) == 1 or layout == "mama_mia"  # its headers are intact

    assert run(tmp_path, INGEST, on_error="skip").returncode == 0
    rows = {row["case"]: row for row in read_table(tmp_path / "artifacts/volumes/cohort.csv")}
    assert [case for case, row in rows.items() if row["status"] == "skipped"] == [cohort.bad]
    assert message.endswith(rows[cohort.bad]["reason"].partition(": ")[2]), "the same reason, without folders"
    for case, volumes in cohort.volumes.items():
        folder = tmp_path / "artifacts/volumes" / case
        assert folder.exists() == (case != cohort.bad)
        assert case == cohort.bad or all((folder / name).read_bytes() == content for name, content in volumes.items())
