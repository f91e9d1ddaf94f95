"""Ingestion as a stage: what is done already is not done again, whatever happened in between."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from repository import ROOT

from pre2post.core.files import read_json, read_table


class Place:
    """A folder with a small cohort, in which ingest runs and tells which cases it really took in."""

    def __init__(self, path: Path, dicom, count: int = 3):
        self.path, self.data, self.log = path, path / "data", path / "taken.log"
        dicom.save_cohort(self.data, count)
        shutil.copy(ROOT / "params.yaml", path)

    def command(self, delay: float = 0.0) -> list[str]:
        code = (
            f"import sys, time; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
            "import pre2post.ingest.ingest_case as one, pre2post.ingest.ingest_cohort as all, ingest\n"
            "def told(entry, folder, settings):\n"
            f"    open({str(self.log)!r}, 'a').write(entry.case + '\\n'); time.sleep({delay})\n"
            "    return one.ingest_case(entry, folder, settings)\n"
            "all.ingest_case = told\n"
            "ingest.run_stage(ingest.main)\n"
        )
        return [sys.executable, "-c", code]

    def set(self, **values) -> None:
        content = yaml.safe_load((self.path / "params.yaml").read_text())
        content["ingest"] |= values
        (self.path / "params.yaml").write_text(yaml.safe_dump(content))

    def run(self) -> list[str]:
        """Ids of the cases that were really taken in, sorted."""
        self.log.unlink(missing_ok=True)
        done = subprocess.run(self.command(), cwd=self.path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return sorted(self.log.read_text().split()) if self.log.exists() else []

    def outputs(self) -> dict[str, bytes]:
        folder = self.path / "artifacts"
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture
def place(tmp_path, dicom) -> Place:
    return Place(tmp_path, dicom)


def test_only_what_changed_is_done_again(place, dicom):
    assert place.run() == ["P1", "P2", "P3"]
    first = place.outputs()
    assert place.run() == [] and place.outputs() == first
    next((place.data / "Duke-Breast-Cancer-MRI/P2").rglob("*.dcm")).touch()
    assert place.run() == ["P2"] and place.outputs() == first
    dicom.save_mask(place.data, "P1", (dicom.body_array(0) > 900).astype("uint8"))
    assert place.run() == ["P1"]
    changed = {name for name, content in place.outputs().items() if content != first[name]}
    assert changed == {f"volumes/{name}" for name in ("P1/case.json", "P1/mask.nii.gz", "cohort.csv")}


def test_other_settings_are_other_cases_and_the_first_ones_are_not_mixed_up_with_them(place):
    place.run()
    first = place.outputs()
    place.set(headroom=2.0)
    assert place.run() == ["P1", "P2", "P3"]
    place.set(headroom=3.0)
    assert place.run() == ["P1", "P2", "P3"], "volumes of other settings must not pass for these"
    assert place.outputs() == first
    place.set(workers=1, on_error="skip")
    assert place.run() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "post1.nii").unlink(),
        lambda folder: (folder / "case.json").write_text("{}"),
        shutil.rmtree,
    ],
)
def test_volumes_that_are_gone_are_made_again(place, spoil):
    place.run()
    first = place.outputs()
    spoil(place.path / "artifacts/volumes/P3")
    assert place.run() == ["P3"] and place.outputs() == first


def test_a_case_that_left_the_cohort_leaves_the_volumes(place):
    place.run()
    table = place.data / "cases.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if not line.startswith("P2")))
    assert place.run() == []
    assert sorted(path.name for path in (place.path / "artifacts/volumes").iterdir()) == [
        "P1",
        "P3",
        "cases.json",
        "cohort.csv",
    ]
    assert [case["id"] for case in read_json(place.path / "artifacts/volumes/cases.json")] == ["P1", "P3"]
    assert [row["case"] for row in read_table(place.path / "artifacts/volumes/cohort.csv")] == ["P1", "P3", "P2"]


def test_a_killed_run_is_carried_on(tmp_path, dicom):
    whole, place = Place(tmp_path / "whole", dicom, 6), Place(tmp_path / "killed", dicom, 6)
    whole.run()
    for one in (whole, place):
        one.set(workers=1)
    running = subprocess.Popen(
        place.command(delay=0.3),
        cwd=place.path,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not place.log.exists() or len(place.log.read_text().split()) < 4:
        time.sleep(0.02)
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (place.path / "artifacts").exists(), "nothing half done lies among the volumes"
    again = place.run()
    assert "P6" in again and len(again) <= 3, again
    assert place.outputs() == whole.outputs()


def test_two_runs_at_a_time_wait_for_each_other(place):
    runs = [subprocess.Popen(place.command(delay=0.2), cwd=place.path, stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        assert run.wait(timeout=120) == 0, run.stderr.read()
    assert sorted(place.log.read_text().split()) == ["P1", "P2", "P3"], "the second finds all done"
