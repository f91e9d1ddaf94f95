"""Small cohorts, one a layout, to damage in one case or table, and the evaluator of what became of them."""

import math
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import IngestResult, ingest_case, left_out
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.preflight import preflight_case
from pre2post.ingest.study import shared_patients
from pre2post.io.volume_file import read_volume, write_volume

LIMIT = 20  # seconds for one input
LONGEST = 3000  # characters of a message
ADDRESS = re.compile("0x[0-9a-f]{6}")  # of something in memory, which no two runs have in common


class TooSlow(BaseException):
    """Above all exceptions, so that nothing that catches these can hide it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def stop(*_):
        raise TooSlow(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Cohort:
    """An undamaged cohort of three and what ingestion makes of it; `bad` is the case that will be damaged."""

    def __init__(self, root: Path, bad: str, settings):
        self.root, self.bad, self.settings = root, bad, settings
        taken = [ingest_case(entry, root.parent / "whole", settings) for entry in read_cohort(root)[1].entries]
        assert len(taken) == 3 and not any(one.error for one in taken), [one.error for one in taken]
        self.files = tree(root)
        self.volumes = {one.case.id: volumes(one) for one in taken}
        assert all(len(files) >= 3 for files in self.volumes.values()), "pre, post1 and a mask"

    def copy(self, target: Path) -> "Place":
        """The cohort again, by further names of the same files."""
        shutil.copytree(self.root, target / "data", copy_function=os.link)
        return Place(target / "data", self)


class Place:
    """A copy of a cohort, to be damaged."""

    def __init__(self, root: Path, whole: Cohort):
        self.root, self.whole, self.bad = root, whole, whole.bad

    def images(self, role: str = "post1") -> list[Path]:
        """The DICOM files of a phase of the bad case, or its one volume file; "mask" is the file of the mask."""
        series, *names = {
            "pre": ("1.*/*.dcm", "_pre", "_0000"),
            "post1": ("2.*/*.dcm", "_post1", "_0001"),
            "mask": ("none", "_mask", ""),
        }[role]
        patterns = [
            f"Duke-Breast-Cancer-MRI/{self.bad}/study/{series}",
            *(f"**/{case}{name}.nii*" for case in (self.bad, self.bad.lower()) for name in names),
        ]
        return sorted(file for pattern in patterns for file in self.root.glob(pattern) if file.is_file())

    def image(self, role: str = "post1", number: int = 2) -> Path:
        """One of them."""
        found = self.images(role)
        return found[min(number, len(found) - 1)]

    @staticmethod
    def write(file: Path, content: bytes | str) -> None:
        """A new file in the place of an old one, whose other name, in the undamaged cohort, keeps its content."""
        file.unlink(missing_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def set(self, file: Path, **values: bytes | str | None) -> None:
        """Writes elements of a DICOM file exactly as given, however wrong; None removes one."""
        data = dcmread(file)
        for name, value in values.items():
            tag = Tag(tag_for_keyword(name))
            data.pop(tag, None)
            if value is not None:
                value = value.encode() if isinstance(value, str) else value
                kind = dictionary_VR(tag).split()[0]
                data[tag] = RawDataElement(tag, kind, len(value), value, 0, False, True)
        file.unlink()
        data.save_as(file, enforce_file_format=False)

    def set_all(self, role: str = "post1", **values: bytes | str | None) -> None:
        """The same in every file of a phase."""
        for file in self.images(role):
            self.set(file, **values)

    def expect(self, used: bool | None, shared: bool = False) -> str:
        """Takes the cohort in: the damaged case must be used, or refused in a clear way; None: either. The message.

        The other cases must be used as if nothing had happened, but for a `shared` table, which may leave them out.
        """
        assert tree(self.root) != self.whole.files, "this damage changes nothing"
        with time_limit(LIMIT):
            message = self._message(shared)
        if message:
            check_message(message)
        assert used is None or used is not bool(message), message or "the damage went unnoticed"
        return message

    def _message(self, shared_table: bool) -> str:
        """What is said of the first case that is left out, or of the whole cohort; empty when all is well."""
        try:
            entries = read_cohort(self.root)[1].entries
        except InputError as error:
            return str(error)
        shared, refused = shared_patients(entries), []
        for entry in entries:
            good = entry.case in self.whole.volumes and entry.case != self.bad
            taken = left_out(entry, shared[entry.case]) if entry.case in shared else self._taken(entry, good)
            if taken.error:
                refused.append(str(taken.error))
                assert taken.error.problem[:9] in taken.row["reason"] and str(self.root) not in taken.row["reason"]
                assert shared_table or not good, f"a good case was left out: {taken.error}"
            else:
                check_usable(taken)
                unchanged = not good or volumes(taken) == self.whole.volumes[entry.case]
                assert unchanged or shared_table, f"the good case {entry.case} has changed"
        return refused[0] if refused else ""

    def _taken(self, entry: CaseSource, good: bool) -> IngestResult:
        """What ingestion makes of a case; whatever the headers alone refuse, it must refuse as well."""
        taken = ingest_case(entry, self.root.parent / "out", self.whole.settings)
        told = None if good else preflight_case(entry).error
        assert not told or taken.error, told
        return taken


def check_message(message: str) -> None:
    """One line that names a case or a file, and says what was expected or what to do."""
    assert message.isprintable() and len(message) < LONGEST, repr(message)
    assert message.startswith(("case ", "file ")), message
    assert "what to do: " in message or "expected: " in message, message
    assert "Traceback" not in message and not ADDRESS.search(message), message


def check_usable(taken: IngestResult) -> None:
    """Volumes of finite numbers on one grid, a mask that is not empty, a line that fits a table."""
    case, arrays = taken.case, {}
    for role in (*case.phases, *(["mask"] if case.has_mask else [])):
        arrays[role] = read_volume(case.path(role)).array
        assert np.isfinite(arrays[role]).all() and arrays[role].size
    assert len({array.shape for array in arrays.values()}) == 1
    assert "mask" not in arrays or set(np.unique(arrays["mask"])) - {0} == {1}
    assert math.isfinite(case.scale.low) and math.isfinite(case.scale.high) and case.scale.high > case.scale.low
    assert all(word == "?" or math.isfinite(float(word)) for word in str(taken.row["times_s"]).split())
    assert all(str(value).isprintable() for value in taken.row.values()), taken.row


def tree(root: Path) -> dict[Path, bytes | None]:
    """What lies below a folder: the content of regular files, None for all else."""
    return {path.relative_to(root): path.read_bytes() if os.path.isfile(path) else None for path in root.rglob("*")}


def volumes(taken: IngestResult) -> dict[str, bytes]:
    """The written volumes and mask, not the note beside them."""
    return {file.name: file.read_bytes() for file in sorted(taken.case.folder.iterdir()) if ".nii" in file.name}


def save_workbook(file: Path, rows, title: str = "Sheet") -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(file)


def save_examination(dicom, files: dict[str, Path], seed: int) -> None:
    """Volume files by role, the tumour brighter after contrast."""
    lesion = np.zeros(dicom.shape, np.uint8)
    lesion[2, 8, 9:11] = 1
    for role, file in files.items():
        phase = dicom.body_array(seed).astype(np.int16) + (100 + 300 * lesion.astype(np.int16)) * (role != "pre")
        write_volume(Volume(lesion if role == "mask" else phase, dicom.spacing, dicom.origin), file)


@pytest.fixture(scope="session")
def duke(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """DICOM of three cases, with a box and a mask each, and cases.csv."""
    root, cases = tmp_path_factory.mktemp("duke") / "data", ("P1", "P2", "P3")
    for seed, case in enumerate(cases):
        dicom.save_case(root, case, seed, phases=2)
        dicom.save_mask(root, case)
    dicom.save_table(root, [(case, "A", f"segmentations/{case}.nii") for case in cases])
    lines = [
        "Patient ID,Start Row,End Row,Start Column,End Column,Start Slice,End Slice",
        *(f"{case},9,9,10,11,3,3" for case in cases),
    ]
    (root / "Annotation_Boxes.csv").write_text("\n".join(lines) + "\n")
    return Cohort(root, "P2", ingest_settings())


@pytest.fixture(scope="session")
def archive(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """The Duke download with its own spreadsheets as workbooks, and no cases.csv."""
    root, cases = tmp_path_factory.mktemp("archive") / "data", [f"Breast_MRI_00{number}" for number in (1, 2, 3)]
    for seed, case in enumerate(cases):
        dicom.save_case(root, case, seed, phases=2)
        dicom.save_mask(root, case)
    tables = {
        "Annotation_Boxes": [
            ["Patient ID", "Start Row", "End Row", "Start Column", "End Column", "Start Slice", "End Slice"],
            *([case, 9, 9, 10, 11, 3, 3] for case in cases),
        ],
        "Clinical_and_Other_Features": [
            ["Patient Information", "MRI"],
            ["Patient ID", "Manufacturer"],
            ["", "GE=0, SIEMENS=2"],
            *([case, 2] for case in cases),
        ],
        "Imaging_Features": [["Patient ID", "F1"], *([case, 0.5] for case in cases)],
        "Breast-Cancer-MRI-filepath_filename-mapping": [
            ["original_path_and_filename", "classic_path"],
            *([f"DICOM_Images/{case}/pre/{case}_pre_001.dcm", f"images/{case}/1.2/1.2.3/1.dcm"] for case in cases),
        ],
    }
    for name, rows in tables.items():
        save_workbook(root / f"{name}.xlsx", rows)
    return Cohort(root, "Breast_MRI_002", ingest_settings())


@pytest.fixture(scope="session")
def own(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """Volume files in the layout nifti, pre plain and the others compressed."""
    root, lines = tmp_path_factory.mktemp("own") / "data", ["case,phase,path,mask,site,time_s"]
    for seed, case in enumerate(("C1", "C2", "C3")):
        names = {"pre": f"{case}_pre.nii", "post1": f"{case}_post1.nii.gz", "mask": f"{case}_mask.nii.gz"}
        save_examination(dicom, {role: root / name for role, name in names.items()}, seed)
        lines += [f"{case},pre,{names['pre']},{names['mask']},A,0", f"{case},post1,{names['post1']},,,60"]
    (root / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort(root, "C2", ingest_settings())


@pytest.fixture(scope="session")
def mama_mia(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """The layout of MAMA-MIA, with both of its tables."""
    root, cases = tmp_path_factory.mktemp("mama") / "data", ("DUKE_001", "DUKE_002", "ISPY1_1001")
    for seed, case in enumerate(cases):
        name = case.lower()
        files = {
            "pre": f"images/{case}/{name}_0000.nii.gz",
            "post1": f"images/{case}/{name}_0001.nii.gz",
            "mask": f"segmentations/expert/{name}.nii.gz",
        }
        save_examination(dicom, {role: root / file for role, file in files.items()}, seed)
    save_workbook(
        root / "clinical_and_imaging_info.xlsx",
        [
            ["patient_id", "dataset", "manufacturer", "field_strength", "acquisition_times"],
            *([case, case.split("_")[0], "ACME", 1.5, "[0, 60]"] for case in cases),
        ],
        "dataset_info",
    )
    (root / "train_test_splits.csv").write_text(f"train_split,test_split\n{cases[0]},{cases[1]}\n{cases[2]},\n")
    return Cohort(root, "DUKE_002", ingest_settings())


@pytest.fixture
def suffer(request, tmp_path) -> Callable:
    """suffer(layout, damage, used, shared) damages a copy of a cohort and judges what becomes of it: see Place."""

    def evaluator(layout: str, damage: Callable[[Place], object], used: bool | None, shared: bool = False) -> str:
        place = request.getfixturevalue(layout).copy(tmp_path)
        damage(place)
        return place.expect(used, shared)

    return evaluator
