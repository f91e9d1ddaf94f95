"""Patients used for training are never scored: not under another id, not with imported weights."""

from dataclasses import replace
from pathlib import Path

import pytest
from repository import ROOT

from pre2post.cohort.case import Case, write_cases
from pre2post.cohort.patients import DUKE_SPIE2024, PUBLISHED, digest, training_patients
from pre2post.core.files import read_json
from pre2post.image.intensity import IntensityScale
from pre2post.splits.leakage import check_leakage, check_unseen, read_study
from pre2post.splits.splits import SPLIT_NAMES, Splits, read_splits, write_splits

WEIGHTS = Path("weights/released.safetensors")
RELEASED = frozenset(map(digest, training_patients("duke_spie2024")))


def make(name, **known):
    return Case(name, "A", ("pre", "post1"), True, IntensityScale(0, 1), Path(name), **known)


SPLITS = Splits(["t"], ["a", "b", "m"], ["p"], ["x"], [["a"], ["b"]], ["m"])
CASES = [make(name, patient=f"patient {name}", study=f"study {name}", pixels=f"pixels {name}") for name in "tabmpx"]


def twins(first, second, mark):
    """Return the cases, with the mark of the first one given to the second."""
    value = next(getattr(case, mark) for case in CASES if case.id == first)
    return [replace(case, **{mark: value}) if case.id == second else case for case in CASES]


def test_different_patients_and_empty_marks_pass():
    check_leakage(SPLITS, CASES)
    check_leakage(SPLITS, [replace(case, patient="", study="", pixels="") for case in CASES])


@pytest.mark.parametrize("mark", ["patient", "study", "pixels"])
@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("t", "a", ("gan_train", "validation")),
        ("t", "p", ("gan_train", "test")),
        ("t", "x", ("gan_train", "external")),
        ("m", "p", ("validation", "test")),
        ("b", "x", ("validation", "external")),
        ("p", "x", ("test", "external")),
        ("a", "b", ("fold 0", "fold 1")),
    ],
)
def test_splits_and_folds_must_not_share_a_patient(mark, first, second, names, refused):
    message = refused(
        lambda: check_leakage(SPLITS, twins(first, second, mark)),
        f"the {mark}",
        f"{mark} {first}",
        f"{first} in {names[0]}",
        f"{second} in {names[1]}",
        "leave one of the two out",
        "one patient",
    )
    assert "\n" not in message


@pytest.mark.parametrize("mark", ["patient", "study", "pixels"])
def test_cases_of_one_split_or_fold_may_share_a_patient(mark):
    together = replace(SPLITS, folds=[["a", "b"], []])
    check_leakage(together, twins("a", "b", mark))
    check_leakage(SPLITS, twins("a", "m", mark))


def test_read_study_checks_for_leakage(tmp_path, refused):
    write_splits(tmp_path / "splits.json", SPLITS)
    write_cases(tmp_path, CASES)
    splits, cases = read_study(tmp_path / "splits.json", tmp_path)
    assert splits == SPLITS and [case.id for case in cases] == sorted("tabmpx")
    write_cases(tmp_path, twins("t", "p", "pixels"))
    refused(lambda: read_study(tmp_path / "splits.json", tmp_path), "the pixels", "t in gan_train", "p in test")
    write_cases(tmp_path, CASES[:-1])
    refused(lambda: read_study(tmp_path / "splits.json", tmp_path), "case x", "not ingested")


def test_every_stage_that_reads_the_splits_checks_for_leakage():
    sources = {path.name: path.read_text() for path in ROOT.joinpath("src").glob("*.py")}
    readers = {name for name, text in sources.items() if "SPLITS, VOLUMES)" in text}
    assert readers == {
        "extract_slices.py",
        "synthesize.py",
        "evaluate_synthesis.py",
        "plan_and_preprocess.py",
        "evaluate_segmentation.py",
        "validate_same.py",
    }
    assert not [name for name, text in sources.items() if "read_splits" in text]
    assert all("read_study(SPLITS, VOLUMES)" in sources[name] for name in readers)
    assert "check_leakage" in sources["split.py"]


def duke_cases(form):
    return [make(form.format(number), patient=f"duke:{number:03d}") for number in range(1, 923)]


@pytest.mark.parametrize("form", ["Breast_MRI_{:03d}", "DUKE_{:03d}"])
def test_the_released_weights_have_seen_70_of_the_100_later_test_patients(form, refused):
    lists = read_json(PUBLISHED / "duke_jmi2025.json")
    ids = {split: [form.format(int(name[-3:])) for name in lists[split]] for split in ("validation", "test")}
    later = Splits([], ids["validation"], ids["test"], [], [])
    message = refused(
        lambda: check_unseen(later, duke_cases(form), RELEASED, WEIGHTS),
        "70 of 100 in test",
        "39 of 50 in validation",
        str(WEIGHTS),
        "what to do",
        "published",
    )
    seen = [name for name in ids["test"] if digest(f"duke:{name[-3:]}") in RELEASED]
    assert len(seen) == 70 and f"({', '.join(seen[:3])}, ...)" in message
    refused(
        lambda: check_unseen(
            replace(later, test=seen[:2], validation=[], external=seen[2:3]), duke_cases(form), RELEASED, WEIGHTS
        ),
        f"2 of 2 in test ({seen[0]}, {seen[1]});",
        "1 of 1 in external",
    )


def test_the_released_weights_have_seen_no_published_test_patient(capsys):
    published = read_splits(DUKE_SPIE2024)
    assert len(RELEASED) == 668 and len(published.test) == 30 and len(published.validation) == 224
    check_unseen(published, duke_cases("Breast_MRI_{:03d}"), RELEASED, WEIGHTS)
    assert capsys.readouterr().err == ""


def test_phantom_cases_are_not_confused_with_the_real_patients_of_the_same_name():
    cases = [replace(case, patient=f"phantom:{case.id}") for case in duke_cases("Breast_MRI_{:03d}")]
    check_unseen(Splits([], [], [case.id for case in cases], [], []), cases, RELEASED, WEIGHTS)


def test_weights_of_unknown_origin_are_a_warning(capsys):
    check_unseen(SPLITS, CASES, None, WEIGHTS)
    error = capsys.readouterr().err
    assert error.startswith(f"warning: {WEIGHTS} does not list its training patients") and error.count("\n") == 1


def test_own_weights_on_their_own_patients_are_refused(refused):
    for name in SPLIT_NAMES[1:]:
        first = SPLITS.members(name)[0]
        refused(
            lambda first=first: check_unseen(SPLITS, CASES, {digest(f"patient {first}")}, WEIGHTS),
            f"1 of {len(SPLITS.members(name))} in {name} ({first})",
        )
    check_unseen(SPLITS, CASES, {digest("patient t")}, WEIGHTS)
