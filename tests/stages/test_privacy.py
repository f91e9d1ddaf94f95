"""No command writes or prints anything that identifies a person, an examination or its date.

Every DICOM file of a cohort, and unread columns of its tables, contain unique values; all files and outputs of the
commands are searched for them. Seconds after pre are allowed, clock times and dates are not. Messages may name
folders, files and the SeriesDescription.
"""

import gzip
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from commands import code_of, environment
from params_file import change_params
from pydicom import dcmread
from repository import ROOT

pytestmark = pytest.mark.slow

DAY, BORN = "20190823", "19610417"
PLANTED = {  # element: value
    "PatientName": "Zanzibarova^Quirina",
    "PatientBirthDate": BORN,
    "PatientBirthTime": "061733",
    "PatientAddress": "Elderberry Lane 77",
    "PatientTelephoneNumbers": "+3299887766",
    "PatientMotherBirthName": "Xylander",
    "InstitutionName": "Hospital Quetzalcoatl",
    "InstitutionAddress": "Obsidian Square 9",
    "StationName": "KRYPTON3T",
    "ReferringPhysicianName": "Wolfensberger^Ulf",
    "OperatorsName": "Jabberwock^Ida",
    "AccessionNumber": "ACC7654321",
    "StudyID": "SID1357911",
    "OtherPatientIDs": "OTHER24680",
    "PatientComments": "sister of the mayor",
    "EthnicGroup": "Sylvanian",
    "StudyDescription": "breast of Mrs Umbrageous",
    "DeviceSerialNumber": "SER5550001",
    "StudyDate": DAY,
    "SeriesDate": DAY,
    "AcquisitionDate": DAY,
    "ContentDate": DAY,
    "StudyTime": "143159.7",
    "ProtocolName": "dyn for Brandywine",
    "PerformingPhysicianName": "Featherstonehaugh",
}
PRIVATE, PATIENT, UIDS = "Tumbleweed", "MRN-8642097", "1.2.840.99999.7"
FREE = "Featherweight, Hermione"  # in unread columns of tables
WORDS = [
    *PLANTED.values(),
    "Zanzibarova",
    "Quirina",
    "Wolfensberger",
    "Jabberwock",
    "Umbrageous",
    "Brandywine",
    PRIVATE,
    PATIENT,
    UIDS,
    FREE,
    "Hermione",
    "2019-08-23",
    "1961-04-17",
    "23.08.2019",
    "14:31",
    "1431",
]
CASES = ("P1", "P2", "P3", "P4", "P5")
BAD = ("B1", "B2", "B3", "B4", "B5", "B6")


def plant(data, case: str, phase: int) -> None:
    for name, value in PLANTED.items():
        setattr(data, name, value)
    data.PatientID, data.StudyInstanceUID = f"{PATIENT}-{case}", f"{UIDS}.{ord(case[0])}.{case[1]}"
    data.SeriesInstanceUID = f"{data.StudyInstanceUID}.{phase}"
    data.FrameOfReferenceUID = f"{data.StudyInstanceUID}.9"
    data.AcquisitionTime = data.ContentTime = data.SeriesTime = f"143{phase}59.7"
    data.private_block(0x0099, "ACME", create=True).add_new(1, "LO", PRIVATE)


@pytest.fixture(scope="module")
def place(tmp_path_factory, dicom) -> Path:
    """A working directory with that cohort: three cases with a mask, two without, and six unusable ones."""
    path = tmp_path_factory.mktemp("privacy")
    data = path / "data"
    for seed, case in enumerate((*CASES, *BAD)):
        dicom.save_case(data, case, seed, phases=2)
    for file in (data / "Duke-Breast-Cancer-MRI").rglob("*.dcm"):
        change(file, lambda header, file=file: plant(header, file.parts[-4], int(file.parts[-2][0])))
    spoil({case: data / "Duke-Breast-Cancer-MRI" / case / "study/2.000000-ax dyn 1st pass" for case in BAD})
    for case in CASES[:3]:
        dicom.save_mask(data, case)
    lines = [
        "case,site,mask,remark",
        *(f'{case},A,{f"segmentations/{case}.nii" if case in CASES[:3] else ""},"{FREE}"' for case in (*CASES, *BAD)),
    ]
    (data / "cases.csv").write_text("\n".join(lines) + "\n")
    (data / "Annotation_Boxes.csv").write_text(
        "Patient ID,Start Row,End Row,Start Column,End Column,Start Slice,End Slice,Reader\n"
        + "".join(f'{case},9,9,10,11,3,3,"{FREE}"\n' for case in CASES)
        + f'B5,9,99,10,11,3,3,"{FREE}"\n'
    )
    (data / "Clinical_and_Other_Features.csv").write_text(
        f'Patient ID,Manufacturer,Name\n,GE=0,\nBreast_MRI_001,0,"{FREE}"\n'
    )
    changes = {
        "split.folds": 2,
        "split.external_site": "",
        "segmentation.folds": [0, 1],
        "slices.size": 16,
        "slices.min_foreground": 0.0,
        "gan.downs": 2,
    }
    change_params(path / "params.yaml", changes, source=ROOT / "params.yaml")
    return path


def change(file: Path, how) -> None:
    data = dcmread(file)
    how(data)
    data.save_as(file)


def spoil(series: dict[str, Path]) -> None:
    """Give each unusable case another fault, which must be reported without the wrong value."""
    cut, frame, patient, study, *_ = (series[case] / "1-003.dcm" for case in BAD)
    cut.write_bytes(cut.read_bytes()[:-9])
    change(frame, lambda data: setattr(data, "FrameOfReferenceUID", f"{UIDS}.1.1.1"))
    change(patient, lambda data: setattr(data, "PatientID", f"{PATIENT}-other"))
    change(study, lambda data: setattr(data, "StudyInstanceUID", f"{UIDS}.1.1.2"))
    for file in series["B6"].parent.rglob("*.dcm"):
        change(file, lambda data: setattr(data, "PatientID", f"{PATIENT}-B5"))  # the PatientID of another case


def run(place: Path, stage: str, *arguments: str, code: int = 0) -> bytes:
    """Run a stage, or a command of pre2post, and return all that it prints."""
    script = (ROOT / "src" / stage,) if stage.endswith(".py") else ("-m", "pre2post", stage)
    env = environment(**code_of(ROOT))
    done = subprocess.run([sys.executable, *script, *arguments], cwd=place, env=env, capture_output=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def outputs(place) -> dict[str, bytes]:
    """Everything that the commands print and write, by command or file."""
    from pre2post.core.files import read_table
    from pre2post.figures.canvas import save
    from pre2post.figures.cohort import draw_cohort

    printed = {
        "ingest that stops": run(place, "ingest.py", code=1),
        "check": run(place, "check-cohort", "data", "--all", code=1),
    }
    change_params(place / "params.yaml", {"ingest.on_error": "skip"})
    printed |= {stage: run(place, stage) for stage in ("ingest.py", "split.py", "extract_slices.py")}
    printed["a bad table"] = refuse_a_table(place)
    save(draw_cohort(read_table(place / "plots/cohort.csv")), place / "plots/cohort.png")
    files = {
        str(file.relative_to(place)): file.read_bytes()
        for file in place.rglob("*")
        if file.is_file() and file.relative_to(place).parts[0] not in ("data", "params.yaml", "copy")
    }
    return printed | files


def refuse_a_table(place: Path) -> bytes:
    """Ingest a table with a line without a site, whose message must not show unread columns."""
    shutil.copytree(place / "data", place / "copy/data")
    shutil.copy(place / "params.yaml", place / "copy")
    table = place / "copy/data/cases.csv"
    table.write_text(table.read_text().replace("P2,A,", "P2,,"))
    return run(place / "copy", "ingest.py", code=1)


def found_in(content: bytes, words=WORDS) -> list[str]:
    """Return the words in a text or file, in any case, in UTF-8 or UTF-16, compressed or not."""
    layers = [content, *inflated(content)]
    if content.startswith(b"\x1f\x8b"):
        layers.append(gzip.decompress(content))
    return [
        word
        for word in words
        for layer in layers
        if any(
            form in layer.lower()
            for form in (word.lower().encode(), word.lower().encode("utf-16-le"), word.lower().encode("utf-16-be"))
        )
    ]


def inflated(content: bytes) -> list[bytes]:
    """Return the compressed texts of a PNG (PNG specification 11.3.3)."""
    found, place = [], 8
    while content.startswith(b"\x89PNG") and place < len(content):
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        body = content[place + 8 : place + 8 + length]
        if kind in (b"zTXt", b"iTXt") and (start := body.find(b"\x78")) >= 0:
            found.append(zlib.decompressobj().decompress(body[start:]))
        place += length + 12
    return found


def test_the_search_finds_planted_values(place):
    dicoms = list((place / "data").rglob("*.dcm"))
    assert len(dicoms) == 12 * len((*CASES, *BAD))
    forms = {"19610417", "Zanzibarova", PRIVATE, PATIENT, UIDS}
    assert all(forms <= set(found_in(file.read_bytes())) for file in dicoms[:20])
    assert FREE in found_in((place / "data/cases.csv").read_bytes())
    assert found_in("x ZANZIBAROVA".encode("utf-16")) == found_in(gzip.compress(b"zanzibarova")) == ["Zanzibarova"]
    text = b"iTXtComment\0\1\0\0\0" + zlib.compress(b"Quirina")
    assert found_in(b"\x89PNG\r\n\x1a\n" + (len(text) - 4).to_bytes(4, "big") + text + bytes(4)) == ["Quirina"]


def test_no_planted_value_is_written_or_printed(outputs):
    names = {Path(name).name for name in outputs}
    assert {
        "cohort.csv",
        "cases.json",
        "case.json",
        "pre.nii",
        "mask.nii.gz",
        "splits.json",
        "cohort.png",
        "train_pre.npy",
        "index_train.csv",
    } <= names and any(".resume" in name for name in outputs)
    leaks = {name: words for name, content in outputs.items() if (words := found_in(content)) and not volume(name)}
    assert not leaks, leaks
    numbers = [word for word in WORDS if not word.isdigit()]  # volumes may contain any four bytes
    assert not any(found_in(content, numbers) for name, content in outputs.items() if volume(name))


def volume(name: str) -> bool:
    return name.endswith((".nii", ".nii.gz", ".npy"))


def test_headers_of_volumes_contain_no_text(place):
    """NIfTI headers contain only geometry: no description, name or extension."""
    import nibabel

    files = list((place / "artifacts").rglob("*.nii*"))
    assert len(files) == 2 * len(CASES) + 3
    for file in files:
        header = nibabel.load(file).header
        texts = [header[name].item() for name in ("descrip", "aux_file", "db_name", "intent_name")]
        assert not any(texts) and not header.extensions, (file, texts)


def test_the_faults_are_reported_nevertheless(outputs):
    table = outputs["artifacts/volumes/cohort.csv"].decode()
    for words in ("truncated", "differ in their frame", "several patients", "several examinations", "one id", "0 60"):
        assert words in table, words
    assert table.count("skipped,") == len(BAD) and all(case in table for case in BAD)
    assert b"no usable id or site" in outputs["a bad table"] and b"P2" in outputs["a bad table"]
