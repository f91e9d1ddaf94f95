"""Small cohorts, one a layout, to damage in one case or table, and the judge of what became of them."""

import math
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from cohort.entry import Entry
from cohort.examination import shared_patients
from cohort.intake import Taken, left_out, take_in
from cohort.layouts import read_cohort
from cohort.survey import survey_case
from imaging.volume import Volume, read_volume, write_volume
from pipeline.errors import InputError

USED, EITHER = "", "?"  # what may become of a damaged case, beside a word of the message that refuses it
LIMIT = 20  # seconds for one input
LONGEST = 2000  # characters of a message


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


class Place:
    """A copy of a cohort, whose case `bad` is to be damaged."""

    def __init__(self, root: Path, bad: str, whole: dict[str, dict[str, bytes]], settings):
        self.root, self.bad, self.whole, self.settings = root, bad, whole, settings

    def images(self, role: str = "post1") -> list[Path]:
        """The DICOM files of a phase of the bad case, or its one volume file; "mask" is the file of the mask."""
        series = {"pre": "1.*/*.dcm", "post1": "2.*/*.dcm", "mask": ""}[role]
        names = {"pre": ("_pre", "_0000"), "post1": ("_post1", "_0001"), "mask": ("_mask", "")}[role]
        files = [self.root.glob(f"Duke-Breast-Cancer-MRI/{self.bad}/study/{series}")] if series else []
        files += [self.root.glob(f"**/{case}{name}.nii*") for case in (self.bad, self.bad.lower()) for name in names]
        return sorted(file for found in files for file in found if file.is_file())

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

    def expect(self, outcome: str) -> None:
        """Takes the cohort in: the damaged case must be used, or refused with a message that holds `outcome`."""
        with time_limit(LIMIT):
            message = self._message()
            open("/tmp/outcomes.txt", "a").write(os.environ.get('PYTEST_CURRENT_TEST').split('[',1)[1][:60] + f"\t{(message or 'USED').replace(str(self.root), '')!r}\n")
        if outcome == USED:
            assert message is None, message
        elif outcome != EITHER:
            assert message is not None and outcome in message, message
        if message is not None:
            check_message(message, self.bad, self.root)

    def _message(self) -> str | None:
        try:
            entries = read_cohort(self.root)[1].entries
        except InputError as error:
            return str(error)
        shared, refused = shared_patients(entries), {}
        for entry in entries:
            taken = left_out(entry, shared[entry.case]) if entry.case in shared else self._taken(entry)
            if taken.error:
                refused[entry.case] = str(taken.error)
                assert taken.row["reason"] == str(taken.error)
            else:
                check_usable(taken)
            if entry.case != self.bad and entry.case in self.whole:
                assert not taken.error, f"a good case was left out: {taken.error}"
                assert volumes(taken) == self.whole[entry.case], f"the good case {entry.case} has changed"
        assert set(refused) <= {self.bad} | ({entry.case for entry in entries} - set(self.whole)), refused
        return next(iter(refused.values()), None)

    def _taken(self, entry: Entry) -> Taken:
        """What ingestion makes of a case; what the headers alone tell must not be worse."""
        taken = take_in(entry, self.root.parent / "out", self.settings)
        if entry.case not in self.whole or entry.case == self.bad:
            told = survey_case(entry)
            assert not told.error or taken.error, told.error
        return taken


def check_message(message: str, case: str, root: Path) -> None:
    """One line that names the case or a file and says what to do, or what was expected."""
    assert len(message.splitlines()) == 1 and message.isprintable(), repr(message)
    assert len(message) < LONGEST, message
    assert f"case {case}" in message or "file " in message, message
    assert "what to do: " in message or "expected: " in message, message
    assert "Error" not in message and "Traceback" not in message, message


def check_usable(taken: Taken) -> None:
    """Volumes of finite numbers on one grid, a mask that is not empty, a line that fits a table."""
    case = taken.case
    shapes = set()
    for role in (*case.phases, *(["mask"] if case.has_mask else [])):
        array = read_volume(case.path(role)).array
        assert np.isfinite(array).all() and array.size
        assert role != "mask" or set(np.unique(array)) - {0} == {1}
        shapes.add(array.shape)
    assert len(shapes) == 1 and math.isfinite(case.scale.low) and case.scale.high > case.scale.low
    assert all(word == "?" or math.isfinite(float(word)) for word in str(taken.row["times_s"]).split())
    assert all("\n" not in str(value) for value in taken.row.values()), taken.row


def volumes(taken: Taken) -> dict[str, bytes]:
    """The written volumes and mask, not the note beside them."""
    return {file.name: file.read_bytes() for file in sorted(taken.case.folder.iterdir()) if ".nii" in file.name}


class Cohort:
    """An undamaged cohort and what ingestion makes of it."""

    def __init__(self, root: Path, bad: str, settings):
        self.root, self.bad, self.settings = root, bad, settings
        taken = [take_in(entry, root.parent / "whole", settings) for entry in read_cohort(root)[1].entries]
        assert len(taken) == 3 and not any(one.error for one in taken), [one.error for one in taken]
        self.whole = {one.case.id: volumes(one) for one in taken}
        assert all(len(files) >= 3 for files in self.whole.values()), "pre, post1 and a mask"

    def copy(self, target: Path) -> Place:
        """The cohort again, by further names of the same files."""
        shutil.copytree(self.root, target / "data", copy_function=os.link)
        return Place(target / "data", self.bad, self.whole, self.settings)


@pytest.fixture(scope="session")
def duke(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """DICOM of three cases, with a box and a mask each."""
    root = tmp_path_factory.mktemp("duke") / "data"
    for seed, case in enumerate(("P1", "P2", "P3")):
        dicom.save_case(root, case, seed, phases=2)
        dicom.save_mask(root, case)
    dicom.save_table(root, [(case, "A", f"segmentations/{case}.nii") for case in ("P1", "P2", "P3")])
    lines = ["Patient ID,Start Row,End Row,Start Column,End Column,Start Slice,End Slice",
             *[f"{case},9,9,10,11,3,3" for case in ("P1", "P2", "P3")]]
    (root / "Annotation_Boxes.csv").write_text("\n".join(lines) + "\n")
    return Cohort(root, "P2", ingest_settings())


def save_examination(dicom, files: dict[str, Path], seed: int) -> None:
    """Volume files by role, the tumour brighter after contrast."""
    lesion = np.zeros(dicom.shape, np.uint8)
    lesion[2, 8, 9:11] = 1
    for role, file in files.items():
        array = dicom.body_array(seed).astype(np.int16)
        values = lesion if role == "mask" else array + (100 + 300 * lesion.astype(np.int16)) * (role != "pre")
        write_volume(Volume(values, dicom.spacing, dicom.origin), file)


@pytest.fixture(scope="session")
def own(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """Volume files in the layout nifti; the bad case has a compressed post1."""
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
    import openpyxl

    root, cases = tmp_path_factory.mktemp("mama") / "data", ("DUKE_001", "DUKE_002", "ISPY1_1001")
    book = openpyxl.Workbook()
    book.active.title = "dataset_info"
    book.active.append(["patient_id", "dataset", "manufacturer", "field_strength", "acquisition_times"])
    for seed, case in enumerate(cases):
        name = case.lower()
        save_examination(dicom, {"pre": root / f"images/{case}/{name}_0000.nii.gz",
                                 "post1": root / f"images/{case}/{name}_0001.nii.gz",
                                 "mask": root / f"segmentations/expert/{name}.nii.gz"}, seed)
        book.active.append([case, case.split("_")[0], "ACME", 1.5, "[0, 60]"])
    book.save(root / "clinical_and_imaging_info.xlsx")
    (root / "train_test_splits.csv").write_text(
        f"train_split,test_split\n{cases[0]},{cases[1]}\n{cases[2]},\n")
    return Cohort(root, "DUKE_002", ingest_settings())


@pytest.fixture(scope="session")
def archive(tmp_path_factory, dicom, ingest_settings) -> Cohort:
    """The Duke download with its own spreadsheets as workbooks, and no cases.csv."""
    import openpyxl

    root, cases = tmp_path_factory.mktemp("archive") / "data", [f"Breast_MRI_00{number}" for number in (1, 2, 3)]
    tables = {"Annotation_Boxes": [["Patient ID", "Start Row", "End Row", "Start Column", "End Column", "Start Slice",
                                    "End Slice"]],
              "Clinical_and_Other_Features": [["Patient Information", "MRI"], ["Patient ID", "Manufacturer"],
                                              ["", "GE=0, SIEMENS=2"]],
              "Imaging_Features": [["Patient ID", "F1"]],
              "Breast-Cancer-MRI-filepath_filename-mapping": [["original_path_and_filename", "classic_path"]]}
    for seed, case in enumerate(cases):
        dicom.save_case(root, case, seed, phases=2)
        dicom.save_mask(root, case)
        for name, row in (("Annotation_Boxes", [case, 9, 9, 10, 11, 3, 3]), ("Clinical_and_Other_Features", [case, 2]),
                          ("Imaging_Features", [case, 0.5]),
                          ("Breast-Cancer-MRI-filepath_filename-mapping",
                           [f"DICOM_Images/{case}/pre/{case}_pre_001.dcm", f"images/{case}/1.2/1.2.3/1-001.dcm"])):
            tables[name].append(row)
    for name, rows in tables.items():
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(root / f"{name}.xlsx")
    return Cohort(root, "Breast_MRI_002", ingest_settings())
