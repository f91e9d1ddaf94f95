"""Small cohorts, one per layout, to be damaged in one case or table, and the checks of the outcome."""

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
from pre2post.ingest.ingest_case import IngestResult, ingest_case, skipped_result
from pre2post.ingest.layouts import read_cohort
from pre2post.ingest.preflight import preflight_case
from pre2post.ingest.study import shared_patients
from pre2post.io.volume_file import read_volume, write_volume

LIMIT = 20  # seconds per input
MAX_MESSAGE = 3000  # characters
ADDRESS = re.compile("0x[0-9a-f]{6}")  # a memory address, which differs between runs


class TooSlow(BaseException):
    """Derived from BaseException, so that no handler of Exception hides it."""


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
    """An intact cohort of three cases and its ingested volumes; `bad` is the case to be damaged."""

    def __init__(self, root: Path, bad: str, settings):
        self.root, self.bad, self.settings = root, bad, settings
        result = [ingest_case(source, root.parent / "intact", settings) for source in read_cohort(root)[1].sources]
        assert len(result) == 3 and not any(one.error for one in result), [one.error for one in result]
        self.files = tree(root)
        self.volumes = {one.case.id: volumes(one) for one in result}
        assert all(len(files) >= 3 for files in self.volumes.values()), "pre, post1 and a mask"

    def copy(self, target: Path) -> "Place":
        """Copy the cohort by hard links."""
        shutil.copytree(self.root, target / "data", copy_function=os.link)
        return Place(target / "data", self)


class Place:
    """A copy of a cohort to be damaged."""

    def __init__(self, root: Path, intact: Cohort):
        self.root, self.intact, self.bad = root, intact, intact.bad

    def images(self, role: str = "post1") -> list[Path]:
        """Return the DICOM files of a phase of the bad case, or its volume file; "mask" is the mask file."""
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
        """Return one of these files."""
        found = self.images(role)
        return found[min(number, len(found) - 1)]

    @staticmethod
    def write(file: Path, content: bytes | str) -> None:
        """Replace a file; its hard link in the intact cohort keeps the content."""
        file.unlink(missing_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def set(self, file: Path, **values: bytes | str | None) -> None:
        """Write elements of a DICOM file exactly as given, valid or not; None removes an element."""
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
        """Set the elements in every file of a phase."""
        for file in self.images(role):
            self.set(file, **values)

    def expect(self, used: bool | None, shared: bool = False) -> str:
        """Ingest the cohort and return the message, "" without an error.

        used: True: the damaged case must be used; False: it must be refused with a clear message; None: either.
        shared: the damaged table may affect the other cases too. Otherwise they must be used with unchanged volumes.
        """
        assert tree(self.root) != self.intact.files, "this damage changes no file"
        with time_limit(LIMIT):
            message = self._message(shared)
        if message:
            check_message(message)
        assert used is None or used is not bool(message), message or "the damage went unnoticed"
        return message

    def _message(self, shared_table: bool) -> str:
        """Return the message for the first skipped case, or for the cohort; "" without an error."""
        try:
            sources = read_cohort(self.root)[1].sources
        except InputError as error:
            return str(error)
        shared, refused = shared_patients(sources), []
        for source in sources:
            good = source.case in self.intact.volumes and source.case != self.bad
            result = (
                skipped_result(source, shared[source.case]) if source.case in shared else self._ingest(source, good)
            )
            if result.error:
                refused.append(str(result.error))
                assert result.error.problem[:9] in result.row["reason"] and str(self.root) not in result.row["reason"]
                assert shared_table or not good, f"an intact case was skipped: {result.error}"
            else:
                check_usable(result)
                unchanged = not good or volumes(result) == self.intact.volumes[source.case]
                assert unchanged or shared_table, f"the intact case {source.case} has changed"
        return refused[0] if refused else ""

    def _ingest(self, source: CaseSource, good: bool) -> IngestResult:
        """Ingest a case; it must refuse every case that the preflight check refuses."""
        result = ingest_case(source, self.root.parent / "out", self.intact.settings)
        error = None if good else preflight_case(source).error
        assert not error or result.error, error
        return result


def check_message(message: str) -> None:
    """Check for one line that names a case or a file, and the expected value or a hint."""
    assert message.isprintable() and len(message) < MAX_MESSAGE, repr(message)
    assert message.startswith(("case ", "file ")), message
    assert "what to do: " in message or "expected: " in message, message
    assert "Traceback" not in message and not ADDRESS.search(message), message


def check_usable(result: IngestResult) -> None:
    """Check for finite volumes on one grid, a mask that is not empty, and a printable line of the table."""
    case, arrays = result.case, {}
    for role in (*case.phases, *(["mask"] if case.has_mask else [])):
        arrays[role] = read_volume(case.path(role)).array
        assert np.isfinite(arrays[role]).all() and arrays[role].size
    assert len({array.shape for array in arrays.values()}) == 1
    assert "mask" not in arrays or set(np.unique(arrays["mask"])) - {0} == {1}
    assert math.isfinite(case.scale.low) and math.isfinite(case.scale.high) and case.scale.high > case.scale.low
    assert all(word == "?" or math.isfinite(float(word)) for word in str(result.row["times_s"]).split())
    assert all(str(value).isprintable() for value in result.row.values()), result.row


def tree(root: Path) -> dict[Path, bytes | None]:
    """Return everything below a folder: the content of regular files, None for the rest."""
    return {path.relative_to(root): path.read_bytes() if os.path.isfile(path) else None for path in root.rglob("*")}


def volumes(result: IngestResult) -> dict[str, bytes]:
    """Return the written volumes and mask, without case.json."""
    return {file.name: file.read_bytes() for file in sorted(result.case.folder.iterdir()) if ".nii" in file.name}


def save_workbook(file: Path, rows, title: str = "Sheet") -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(file)


def save_volumes(dicom, files: dict[str, Path], seed: int) -> None:
    """Write volume files by role, with a tumour that enhances."""
    lesion = np.zeros(dicom.shape, np.uint8)
    lesion[2, 8, 9:11] = 1
    for role, file in files.items():
        phase = dicom.body_array(seed).astype(np.int16) + (100 + 300 * lesion.astype(np.int16)) * (role != "pre")
        write_volume(Volume(lesion if role == "mask" else phase, dicom.spacing, dicom.origin), file)


@pytest.fixture(scope="session")
def duke(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """The layout duke: DICOM of three cases, each with a box and a mask, and cases.csv."""
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
    """The layout duke with the archive's spreadsheets as workbooks, without cases.csv."""
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
    """The layout nifti: volume files, pre uncompressed and the others compressed."""
    root, lines = tmp_path_factory.mktemp("own") / "data", ["case,phase,path,mask,site,time_s"]
    for seed, case in enumerate(("C1", "C2", "C3")):
        names = {"pre": f"{case}_pre.nii", "post1": f"{case}_post1.nii.gz", "mask": f"{case}_mask.nii.gz"}
        save_volumes(dicom, {role: root / name for role, name in names.items()}, seed)
        lines += [f"{case},pre,{names['pre']},{names['mask']},A,0", f"{case},post1,{names['post1']},,,60"]
    (root / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort(root, "C2", ingest_settings())


@pytest.fixture(scope="session")
def mama_mia(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """The layout mama_mia, with both tables."""
    root, cases = tmp_path_factory.mktemp("mama") / "data", ("DUKE_001", "DUKE_002", "ISPY1_1001")
    for seed, case in enumerate(cases):
        name = case.lower()
        files = {
            "pre": f"images/{case}/{name}_0000.nii.gz",
            "post1": f"images/{case}/{name}_0001.nii.gz",
            "mask": f"segmentations/expert/{name}.nii.gz",
        }
        save_volumes(dicom, {role: root / file for role, file in files.items()}, seed)
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
def check_damage(request, tmp_path) -> Callable:
    """check_damage(layout, damage, used, shared) damages a copy of a cohort and checks the outcome, see Place."""

    def check(layout: str, damage: Callable[[Place], object], used: bool | None, shared: bool = False) -> str:
        place = request.getfixturevalue(layout).copy(tmp_path)
        damage(place)
        return place.expect(used, shared)

    return check
