"""Every fault of a cohort ends in one message and exit code 1, and leaves earlier volumes unchanged."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from params_file import change_params
from repository import ROOT

TABLES = ["cases.json", "cohort.csv"]
FIRST_PASS = "Duke-Breast-Cancer-MRI/P2/study/2.000000-ax dyn 1st pass"


class Place:
    """A working directory with a copy of params.yaml, in which stages run as for a user."""

    def __init__(self, path: Path):
        self.path, self.data = path, path / "data"
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "params.yaml", path)

    def set(self, section: str, **values) -> None:
        change_params(self.path / "params.yaml", {f"{section}.{name}": value for name, value in values.items()})

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Run Python with these arguments; the first one may be a stage."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        stage, *arguments = command
        script = ROOT / "src" / stage if stage.endswith(".py") else stage
        return subprocess.run(
            [sys.executable, script, *arguments],
            cwd=self.path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
        )

    def outputs(self) -> dict[str, bytes]:
        """Return every file that stages wrote, to detect lost, changed and additional files."""
        return {
            str(file.relative_to(self.path)): file.read_bytes()
            for folder in ("artifacts", "plots")
            for file in sorted((self.path / folder).rglob("*"))
            if file.is_file()
        }


@pytest.fixture(scope="module")
def ingested(tmp_path_factory, dicom) -> Place:
    """A small ingested cohort."""
    place = Place(tmp_path_factory.mktemp("ingested"))
    dicom.save_cohort(place.data)
    done = place.run("ingest.py")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def place(tmp_path, ingested) -> Place:
    """A copy of the ingested cohort to be damaged."""
    shutil.copytree(ingested.path, tmp_path / "place")
    return Place(tmp_path / "place")


def refuse(place: Place, *texts: str, stage: str = "ingest.py") -> str:
    """Run a stage that must end in one message and exit code 1, and leave every earlier result unchanged."""
    before = place.outputs()
    done = place.run(stage)
    message = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("error: ") == 1, done.stderr
    assert message.startswith("error: ")
    absent = [text for text in (*texts, "found", "expected") if text not in message]
    assert not absent, f"{absent} not in {message!r}"
    assert place.outputs() == before, "an earlier result was changed, or a file was left behind"
    return message


def truncate(place, dicom):
    file = place.data / FIRST_PASS / "1-003.dcm"
    file.write_bytes(file.read_bytes()[:-100])


def not_dicom(place, dicom):
    (place.data / FIRST_PASS / "1-003.dcm").write_text("a letter")


def missing_slice(place, dicom):
    (place.data / FIRST_PASS / "1-003.dcm").unlink()


def duplicated_slice(place, dicom):
    data = pydicom.dcmread(place.data / FIRST_PASS / "1-003.dcm")
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.save_as(place.data / FIRST_PASS / "1-099.dcm")


def missing_phase(place, dicom):
    shutil.rmtree(place.data / FIRST_PASS)


def shifted_mask(place, dicom):
    dicom.save_mask(place.data, "P1", origin=(-10, -20, 300))


def one_id_twice(place, dicom):
    shutil.rmtree(place.data / "Duke-Breast-Cancer-MRI/P3")
    dicom.save_case(place.data, "P3", patient="P2")


def empty_folder(place, dicom):
    shutil.rmtree(place.data)
    place.data.mkdir()


def something_else(place, dicom):
    shutil.rmtree(place.data)
    (place.data / "holiday").mkdir(parents=True)


def boxes(place, *lines):
    header = "Patient ID,Start Row,End Row,Start Column,End Column,Start Slice,End Slice"
    (place.data / "Annotation_Boxes.csv").write_text("\n".join([header, *lines]) + "\n")


def box_outside(place, dicom):
    boxes(place, "P1,9,9,10,11,3,3", "P2,9,17,10,11,3,3")


def box_of_text(place, dicom):
    boxes(place, "P2,nine,9,10,11,3,3")


def box_twice(place, dicom):
    boxes(place, "P2,9,9,10,11,3,3", "P2,9,9,10,11,3,4")


BAD = [
    (truncate, ("case P2", "1-003.dcm", "truncated")),
    (not_dicom, ("case P2", "1-003.dcm", "not a DICOM file")),
    (missing_slice, ("case P2", "1-004.dcm", "slice is missing")),
    (duplicated_slice, ("case P2", "1-099.dcm", "duplicated slice")),
    (missing_phase, ("case P2", "post1 is missing", "ax dyn 2nd pass")),
    (shifted_mask, ("case P1", "P1.nii", "not inside")),
    (one_id_twice, ("case P2", "two patients have one id", "P3")),
    (box_outside, ("case P2", "Annotation_Boxes.csv", "outside", "Row 9 to 17")),
    (box_of_text, ("case P2", "Annotation_Boxes.csv", "'nine'")),
    (box_twice, ("case P2", "Annotation_Boxes.csv", "two boxes")),
    (empty_folder, ("file data", "empty")),
    (something_else, ("file data", "not a cohort", "holiday")),
]


@pytest.mark.parametrize("spoil, texts", BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_input_stops_with_one_message(place, dicom, spoil, texts):
    spoil(place, dicom)
    assert "what to do: " in refuse(place, *texts)


def test_bad_cases_can_be_skipped(place, dicom):
    truncate(place, dicom)
    shutil.rmtree(place.data / "Duke-Breast-Cancer-MRI/P3/study/1.000000-ax dyn pre")
    dicom.save_case(place.data, "P4")
    place.set("ingest", on_error="skip")
    done = place.run("ingest.py")
    assert done.returncode == 0, done.stderr
    table = {row.split(",")[0]: row for row in (place.path / "artifacts/volumes/cohort.csv").read_text().splitlines()}
    assert "used" in table["P1"] and "not listed" in table["P4"]
    assert "skipped" in table["P2"] and "truncated" in table["P2"] and "1-003.dcm" in table["P2"]
    assert "skipped" in table["P3"] and "pre is missing" in table["P3"]
    assert sorted(path.name for path in (place.path / "artifacts/volumes").iterdir()) == ["P1", *TABLES]


def test_a_bad_box_skips_its_case_and_a_bad_table_stops_the_stage(place, dicom):
    place.set("ingest", on_error="skip")
    box_twice(place, dicom)
    refuse(place, "case P2", "two boxes")
    box_outside(place, dicom)
    done = place.run("ingest.py")
    assert done.returncode == 0, done.stderr
    table = {row.split(",")[0]: row for row in (place.path / "artifacts/volumes/cohort.csv").read_text().splitlines()}
    assert "used" in table["P1"] and "used" in table["P3"] and "outside" in table["P2"]
    assert sorted(path.name for path in (place.path / "artifacts/volumes").iterdir()) == ["P1", "P3", *TABLES]


def test_a_cohort_without_a_usable_case_is_refused_with_skip_too(place, dicom):
    for case in ("P1", "P2", "P3"):
        shutil.rmtree(place.data / f"Duke-Breast-Cancer-MRI/{case}/study/1.000000-ax dyn pre")
    place.set("ingest", on_error="skip")
    before = place.outputs()
    done = place.run("ingest.py")
    assert done.returncode == 1 and "no case is usable" in done.stderr and "Traceback" not in done.stderr
    assert place.outputs() == before


def test_a_second_run_gives_the_same_bytes(place):
    before = place.outputs()
    assert place.run("ingest.py").returncode == 0
    assert place.outputs() == before and len(before) == 15


def test_too_small_a_cohort_is_refused_fast_by_split(place):
    import time

    start = time.perf_counter()
    refuse(place, "too few masked patients", "split.folds", stage="split.py")
    assert time.perf_counter() - start < 2, "split.py must not load heavy libraries"


FULL_DISK = """
import errno, os, sys
sys.path.insert(0, sys.argv[1])
import ingest
from pre2post.io import volume_file
from pre2post.core.errors import run_stage

opened = volume_file._opened

def full(path):
    if "P2" in str(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return opened(path)

volume_file._opened = full
run_stage(ingest.main)
"""


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="workers do not inherit the failing disk")
def test_a_full_disk_is_reported_and_leaves_earlier_volumes(place):
    """The disk fills while the second case is written."""
    shutil.rmtree(place.path / ".resume")  # so that all cases are ingested again
    before = place.outputs()
    done = place.run("-c", FULL_DISK, str(ROOT / "src"))
    message = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert message.startswith("error: the disk is full") and "P2" in message and "what to do" in message
    assert place.outputs() == before


def test_a_file_system_without_space(tmp_path, ingested):
    """The same on a real file system of 40 kB, if this user may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        place = Place(small / "place")
        place.set("ingest", cohort=str(ingested.data))
        done = place.run("ingest.py")
        assert done.returncode == 1 and "the disk is full while writing" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and place.outputs() == {}
    finally:
        subprocess.run(["umount", small], check=True)
