"""A cohort in the form of the Duke download, with the published split: docs/how-to/reproduce-duke.md, step by step."""

import shutil

import openpyxl
import pytest

from pre2post.core.files import read_json, read_table
from pre2post.ingest.layouts.duke import IMAGES

SIZE = 32
FOLDS = 5


@pytest.fixture(scope="module")
def duke(reproduced, tmp_path_factory):
    """The tiny clone with a folder `duke` in it: phantoms under the names of real patients, as the archive has them."""
    from pre2post.phantom.cohort import write_cohort

    published = read_json(reproduced.path / "src/pre2post/cohort/published/duke_spie2024.json")
    made = tmp_path_factory.mktemp("made") / "data"
    write_cohort(made, cases=24, seed=3, matrix=SIZE, slices=8, workers=2)
    masked = sorted(path.stem for path in (made / "segmentations").iterdir())
    unmasked = sorted(path.name for path in (made / IMAGES).iterdir() if path.name not in masked)
    scored = [*(fold[0] for fold in published["folds"]), *published["test"]]
    names = dict(zip(masked, scored, strict=False)) | dict(zip(unmasked, published["gan_train"], strict=False))
    root = reproduced.path / "duke"
    for old, new in names.items():
        shutil.copytree(made / IMAGES / old, root / "manifest-1654812109500" / IMAGES / new)
    (root / "segmentations").mkdir()
    for old in masked:  # under the names that MAMA-MIA gives them
        shutil.copy(made / f"segmentations/{old}.nii", root / f"segmentations/duke_{names[old][-3:]}.nii")
    book = openpyxl.Workbook()
    rows = read_table(made / "Annotation_Boxes.csv")
    for row in [list(rows[0]), *([names[row["Patient ID"]], *list(row.values())[1:]] for row in rows)]:
        book.active.append(row)
    book.save(root / "Annotation_Boxes.xlsx")
    exclude = reproduced.path / ".git/info/exclude"
    before = exclude.read_text()
    exclude.write_text(before + "/duke\n")
    yield reproduced, {new: old in masked for old, new in names.items()}
    exclude.write_text(before)
    shutil.rmtree(root)
    reproduced.run("git", "clean", "-fdq", "-e", "data")
    reproduced.restore()


def test_the_published_split_of_a_cohort_as_it_comes(duke):
    clone, patients = duke
    told = clone.pre2post("check-cohort", "duke")
    assert f"layout duke, {len(patients)} cases" in told and f"usable: {len(patients)}" in told
    lines = (clone.path / "experiments/duke.args").read_text().splitlines()
    settings = " ".join(line for line in lines if not line.startswith("#")).split()
    clone.run(
        "dvc",
        "exp",
        "run",
        *settings,
        "-S",
        f"split.folds={FOLDS}",
        "-S",
        "split.multifocal=leave_out",
        "-S",
        "ingest.n4_bias_correction=false",
        "-S",
        f"slices.size={SIZE}",
        "extract_slices",
    )
    splits = read_json(clone.path / "splits.json")
    masked = {patient for patient, has_mask in patients.items() if has_mask}
    assert set(splits["gan_train"]) == set(patients) - masked and not splits["external"]
    assert set(splits["validation"]) | set(splits["test"]) == masked and len(splits["validation"]) == FOLDS
    assert [len(fold) for fold in splits["folds"]] == [1] * FOLDS
    rows = read_table(clone.path / "plots/cohort.csv")
    assert {row["status"] for row in rows} == {"used"} and {row["site"] for row in rows} == {"duke"}
    assert all(row["has_box"] == "True" for row in rows)
    index = read_table(clone.path / "artifacts/slices/index_train.csv")
    assert {row["case"] for row in index} == set(splits["gan_train"])
