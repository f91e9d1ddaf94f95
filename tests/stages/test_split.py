"""The stage split: every strategy, its output, and that it never writes a split with leakage."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from params_file import change_params
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
    """Run the stage on cases with parameters of the section split; return the splits that it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(cases=CASES, **settings):
        changes = {f"split.{name}": value for name, value in settings.items()}
        change_params(Path("params.yaml"), changes, source=PARAMS)
        write_cases(Path("artifacts/volumes"), cases)
        used = [{"case": case.id, "status": "used"} for case in cases]
        write_table(COHORT, [*used, {"case": "X", "status": "skipped"}])
        split.main()
        return read_splits(Path("splits.json"))

    return run


def test_every_strategy_prints_the_sizes_of_its_splits(stage, capsys):
    splits = stage(test_fraction=0.34)
    printed = capsys.readouterr().out
    assert f"random split of 922 cases: 225 generator training, {len(splits.validation)} validation" in printed
    assert len(splits.external) == 155 and len(splits.test) == round(0.34 * 467)
    roles = {row["case"]: row["role"] for row in read_table(PLOTS / "cohort.csv")}
    assert Counter(roles.values()) == {
        "generator training": 225,
        "validation": len(splits.validation),
        "external": 155,
        "test": len(splits.test),
        "unused": 75,
        "skipped": 1,
    }
    assert all(roles[case] == "test" for case in splits.test)
    masked = [replace(case, has_mask=True) for case in CASES]
    published = stage(masked, strategy="published", external_site="")
    assert published == read_splits(DUKE_SPIE2024)
    sizes = "668 generator training, 224 validation (191 in 5 folds, 33 multifocal left out), 30 test"
    assert sizes in capsys.readouterr().out
    assert stage(masked, strategy="file", file=str(DUKE_SPIE2024)) == published
    assert f"file split of 922 cases: {sizes}" in capsys.readouterr().out


def test_the_default_split_file_is_the_published_split():
    assert PARAMS.parent / load_params(PARAMS).split.file == DUKE_SPIE2024


@pytest.mark.parametrize("mark", ["study", "pixels"])
def test_one_examination_of_two_patients_is_refused_before_anything_is_written(stage, mark, refused):
    twins = [
        replace(case, **{mark: "same" if case.id in ("Breast_MRI_001", "Breast_MRI_304") else ""}) for case in CASES
    ]
    refused(lambda: stage(twins), "Breast_MRI_001", "Breast_MRI_304", mark, "leave one of the two out", "one patient")
    assert not Path("splits.json").exists()
    assert stage([replace(case, patient="one" if getattr(case, mark) else case.patient) for case in twins])


def test_a_file_with_a_patient_in_two_splits_is_refused(stage, tmp_path, refused):
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
