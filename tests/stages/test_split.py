"""The stage that splits: which source it takes, what it says, and that it writes no split that leaks."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from repository import ROOT

import split
from pre2post.cohort.case import Case, write_cases
from pre2post.cohort.patients import DUKE_SPIE2024
from pre2post.core.files import read_table, write_table
from pre2post.core.paths import COHORT, PLOTS
from pre2post.image.intensity import IntensityScale
from pre2post.pipeline.params import load_params
from pre2post.splits.splits import read_splits

PARAMS = ROOT / "params.yaml"
CASES = [
    Case(
        f"Breast_MRI_{n:03d}",
        "A" if n % 4 else "B",
        ("pre", "post1"),
        n > 300,
        IntensityScale(0, 1),
        Path("v"),
        patient=f"duke:{n:03d}",
    )
    for n in range(1, 923)
]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage over cases with settings of split, and gives what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(cases=CASES, **settings):
        content = yaml.safe_load(PARAMS.read_text())
        content["split"] |= settings
        Path("params.yaml").write_text(yaml.safe_dump(content))
        write_cases(Path("artifacts/volumes"), cases)
        used = [{"case": case.id, "status": "used"} for case in cases]
        write_table(COHORT, [*used, {"case": "X", "status": "left out"}])
        split.main()
        return read_splits(Path("splits.json"))

    return run


def test_every_source_says_how_large_its_parts_are(stage, capsys):
    made = stage()
    said = capsys.readouterr().out
    assert f"random split of 922 cases: 225 train the generator, {len(made.validation)} validate" in said
    assert len(made.external) == 155 and len(made.test) == round(0.34 * 467)
    roles = {row["case"]: row["role"] for row in read_table(PLOTS / "cohort.csv")}
    assert Counter(roles.values()) == {
        "generator training": 225,
        "validation": len(made.validation),
        "external": 155,
        "test": len(made.test),
        "unused": 75,
        "left out": 1,
    }
    assert all(roles[case] == "test" for case in made.test)
    masked = [replace(case, has_mask=True) for case in CASES]
    published = stage(masked, strategy="published", external_site="")
    assert published == read_splits(DUKE_SPIE2024)
    said = capsys.readouterr().out
    assert "668 train the generator, 224 validate (191 in 5 folds, 33 with several lesions left out), 30 test" in said
    assert stage(masked, strategy="file", file=str(DUKE_SPIE2024)) == published
    assert "file split of 922 cases: 668 train" in capsys.readouterr().out


def test_the_stand_in_file_of_the_parameters_is_the_published_split():
    assert PARAMS.parent / load_params(PARAMS).split.file == DUKE_SPIE2024


@pytest.mark.parametrize("mark", ["study", "pixels"])
def test_one_examination_under_two_patients_is_refused_before_anything_is_written(stage, mark, refused):
    twins = [
        replace(case, **{mark: "same" if case.id in ("Breast_MRI_001", "Breast_MRI_304") else ""}) for case in CASES
    ]
    refused(lambda: stage(twins), "Breast_MRI_001", "Breast_MRI_304", mark, "leave one of the two out", "one patient")
    assert not Path("splits.json").exists()
    assert stage([replace(case, patient="one" if getattr(case, mark) else case.patient) for case in twins])


def test_a_file_that_parts_a_patient_is_refused(stage, tmp_path, refused):
    cases = [
        replace(case, has_mask=True, patient="one" if case.id in ("Breast_MRI_003", "Breast_MRI_009") else case.patient)
        for case in CASES
    ]
    lists = json.loads(DUKE_SPIE2024.read_text())
    (tmp_path / "mine.json").write_text(json.dumps(lists))
    refused(
        lambda: stage(cases, strategy="file", file="mine.json"),
        "share the patient",
        "Breast_MRI_003 in gan_train",
        "Breast_MRI_009 in test",
        "split.strategy",
    )
