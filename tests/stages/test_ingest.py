"""The stage ingest: only missing and changed cases are ingested, also after a kill or a change of parameters."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from params_file import change_params
from repository import ROOT

from pre2post.core.files import read_json, read_table

pytestmark = pytest.mark.slow


class Place:
    """A folder with a small cohort, in which ingest runs and logs the cases that it ingests."""

    def __init__(self, path: Path, dicom, count: int = 3):
        self.path, self.data, self.log = path, path / "data", path / "ingested.log"
        dicom.save_cohort(self.data, count)
        shutil.copy(ROOT / "params.yaml", path)

    def command(self, delay: float = 0.0) -> list[str]:
        code = (
            f"import sys, time; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
            "import pre2post.ingest.ingest_case as one, pre2post.ingest.ingest_cohort as all, ingest\n"
            "def logged(source, folder, settings):\n"
            f"    open({str(self.log)!r}, 'a').write(source.case + '\\n'); time.sleep({delay})\n"
            "    return one.ingest_case(source, folder, settings)\n"
            "all.ingest_case = logged\n"
            "ingest.run_stage(ingest.main)\n"
        )
        return [sys.executable, "-c", code]

    def set(self, **values) -> None:
        change_params(self.path / "params.yaml", {f"ingest.{name}": value for name, value in values.items()})

    def run(self) -> list[str]:
        """Run ingest and return the ids of the cases that it ingested, sorted."""
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


def test_only_changed_cases_are_ingested_again(place, dicom):
    assert place.run() == ["P1", "P2", "P3"]
    first = place.outputs()
    assert place.run() == [] and place.outputs() == first
    next((place.data / "Duke-Breast-Cancer-MRI/P2").rglob("*.dcm")).touch()
    assert place.run() == ["P2"] and place.outputs() == first
    dicom.save_mask(place.data, "P1", (dicom.body_array(0) > 900).astype("uint8"))
    assert place.run() == ["P1"]
    changed = {name for name, content in place.outputs().items() if content != first[name]}
    assert changed == {f"volumes/{name}" for name in ("P1/case.json", "P1/mask.nii.gz", "cohort.csv")}


def test_volumes_of_other_parameters_are_not_reused(place):
    place.run()
    first = place.outputs()
    place.set(headroom=2.0)
    assert place.run() == ["P1", "P2", "P3"]
    place.set(headroom=3.5)
    assert place.run() == ["P1", "P2", "P3"], "volumes of other parameters must not be reused"
    assert place.outputs() == first
    place.set(workers=1, on_error="skip")
    assert place.run() == [], "these parameters do not change a case"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "post1.nii").unlink(),
        lambda folder: (folder / "case.json").write_text("{}"),
        shutil.rmtree,
    ],
)
def test_missing_or_damaged_volumes_are_ingested_again(place, spoil):
    place.run()
    first = place.outputs()
    spoil(place.path / "artifacts/volumes/P3")
    assert place.run() == ["P3"] and place.outputs() == first


def test_a_case_removed_from_the_cohort_is_removed_from_the_volumes(place):
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


def test_a_killed_run_is_resumed(tmp_path, dicom):
    complete, place = Place(tmp_path / "complete", dicom, 6), Place(tmp_path / "killed", dicom, 6)
    complete.run()
    place.set(workers=1)
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
    assert not (place.path / "artifacts").exists(), "unfinished cases must not be in the volumes"
    again = place.run()
    assert "P6" in again and len(again) <= 3, again
    assert place.outputs() == complete.outputs()


def test_concurrent_runs_wait_for_each_other(place):
    runs = [subprocess.Popen(place.command(delay=0.2), cwd=place.path, stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        assert run.wait(timeout=120) == 0, run.stderr.read()
    assert sorted(place.log.read_text().split()) == ["P1", "P2", "P3"], "the second run reuses all cases"
