"""The identity of patients across cohorts, and lists of training patients."""

import hashlib
from pathlib import Path

import pytest

from pre2post.cohort.case import Case
from pre2post.cohort.patients import DUKE_SPIE2024, digest, patient_named, patient_of, training_patients
from pre2post.core.files import read_json
from pre2post.image.intensity import IntensityScale


@pytest.mark.parametrize(
    "name, key",
    [
        ("Breast_MRI_012", "duke:012"),
        ("DUKE_012", "duke:012"),
        ("duke:012", "duke:012"),
        ("DUKE_12", "DUKE_12"),
        ("phantom:Breast_MRI_012", "phantom:Breast_MRI_012"),
        ("NACT_01", "NACT_01"),
    ],
)
def test_names_of_duke_patients_have_one_key(name, key):
    assert patient_named(name) == key


@pytest.mark.parametrize("patient, key", [("duke:012", "duke:012"), ("", "case_7")])
def test_a_case_without_a_patient_is_its_own(patient, key):
    case = Case("case_7", "A", ("pre", "post1"), False, IntensityScale(0.0, 1.0), Path("v"), patient=patient)
    assert patient_of(case) == key


def test_a_digest_is_the_beginning_of_the_sha256():
    assert digest("duke:012") == hashlib.sha256(b"duke:012").hexdigest()[:16]


def test_the_patients_of_the_released_weights_are_those_of_the_published_split():
    found = training_patients("duke_spie2024")
    names = read_json(DUKE_SPIE2024)["gan_train"]
    assert found == sorted({f"duke:{name[-3:]}" for name in names}) and len(found) == len(names)
    assert training_patients("unknown") is None


@pytest.mark.parametrize(
    "name, text",
    [
        ("splits.json", '{"gan_train": ["DUKE_003", "P1", "Breast_MRI_003"], "test": ["P3"]}'),
        ("names.txt", "\ufeffP1\n\n  DUKE_003 \nduke:003\n"),
    ],
)
def test_a_list_of_patients_is_read_sorted_and_without_duplicates(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert training_patients(str(tmp_path / name)) == ["P1", "duke:003"]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("absent.txt", None, "the list of patients is missing"),
        ("empty.txt", b"\n \n", "the list names no patient"),
        ("odd.json", b'{"test": []}', "not splits"),
        ("odd.json", b"[]", "not splits"),
        ("binary.txt", b"\xff\x00\xfe", "not text in UTF-8"),
    ],
)
def test_an_unusable_list_is_refused(tmp_path, refused, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(lambda: training_patients(str(tmp_path / name)), str(tmp_path / name), words)
