"""MAMA-MIA: roles from the numbers of the files, facts from optional tables."""

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre2post.ingest.layouts import mama_mia
from pre2post.ingest.layouts.mama_mia import read_listing, recognises

COLUMNS = ("patient_id", "dataset", "site", "manufacturer", "field_strength", "acquisition_times")


def save_images(root, folder, numbers=(0, 1, 2), name=None):
    (root / "images" / folder).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (root / "images" / folder / f"{name or folder}_{number:04d}.nii.gz").touch()


def save_mask(root, kind, name):
    path = root / "segmentations" / kind / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def save_table(root, *rows, columns=COLUMNS):
    book = openpyxl.Workbook()
    book.active.title = "dataset_info"
    for row in (columns, *rows):
        book.active.append(row)
    book.create_sheet("legend").append(("name", "meaning"))
    book.save(root / "clinical_and_imaging_info.xlsx")


def only(root):
    listing = read_listing(root)
    assert len(listing.sources) == 1
    return listing.sources[0]


@pytest.fixture
def root(tmp_path):
    """Four cases, one per cohort, with both kinds of masks and both tables."""
    save_images(tmp_path, "DUKE_001", (0, 1, 2), "duke_001")
    save_images(tmp_path, "ISPY1_1001", (0, 1))
    save_images(tmp_path, "ISPY2_100899", range(8))
    save_images(tmp_path, "NACT_01", (0, 1))
    for kind, name in (("expert", "duke_001"), ("automatic", "duke_001"), ("automatic", "ISPY1_1001")):
        save_mask(tmp_path, kind, name)
    save_table(
        tmp_path,
        ("DUKE_001", "DUKE", None, "SIEMENS", 1.5, "[0, 584, 714]"),
        ("ISPY1_1001", "ISPY1", None, "GE", 3.0, "[0, 150]"),
        ("ISPY2_100899", "ISPY2", "Site AAI", "GE", 3, None),
        (None, None, "a note", None, None, None),
    )
    (tmp_path / "train_test_splits.csv").write_text(
        "train_split,test_split\nDUKE_001,NACT_01\nISPY1_1001,\nISPY2_100899,\n"
    )
    return tmp_path


def test_a_dataset_is_listed(root):
    listing = read_listing(root)
    assert recognises(root) and listing.unlisted == {}
    assert [(source.case, source.site, source.patient, len(source.images)) for source in listing.sources] == [
        ("DUKE_001", "duke", "duke:001", 3),
        ("ISPY1_1001", "ispy1", "ispy1:1001", 2),
        ("ISPY2_100899", "ispy2", "ispy2:100899", 8),
        ("NACT_01", "nact", "nact:01", 2),
    ]
    duke, ispy1, ispy2, nact = listing.sources
    assert list(duke.images.items()) == [
        (role, root / f"images/DUKE_001/duke_001_000{number}.nii.gz")
        for number, role in enumerate(("pre", "post1", "post2"))
    ]
    assert duke.mask == root / "segmentations/expert/duke_001.nii.gz"
    assert ispy1.mask == root / "segmentations/automatic/ISPY1_1001.nii.gz"
    assert ispy2.mask is nact.mask is None
    assert duke.facts == {
        "manufacturer": "SIEMENS",
        "field_strength_t": "1.5",
        "times_s": "0 584 714",
        "predefined_split": "train",
    }
    assert ispy1.facts == {
        "manufacturer": "GE",
        "field_strength_t": "3",
        "times_s": "0 150",
        "mask": "automatic",
        "predefined_split": "train",
    }
    assert ispy2.facts == {"manufacturer": "GE", "field_strength_t": "3", "predefined_split": "train"}
    assert nact.facts == {"predefined_split": "test"}


def test_images_alone_are_enough(tmp_path):
    save_images(tmp_path, "NACT_01")
    source = only(tmp_path)
    assert recognises(tmp_path) and source.mask is None and source.facts == {}


@given(numbers=st.sets(st.integers(0, 12), min_size=1), lower=st.booleans())
def test_roles_follow_the_numbers_of_the_files(tmp_path_factory, numbers, lower):
    root = tmp_path_factory.mktemp("cohort")
    save_images(root, "DUKE_001", numbers, "duke_001" if lower else None)
    images = only(root).images
    assert list(images) == [f"post{number}" if number else "pre" for number in sorted(numbers)]
    assert [int(path.name[-11:-7]) for path in images.values()] == sorted(numbers)
    assert all(path.is_file() for path in images.values())


@pytest.mark.parametrize(
    "text, times",
    [
        ("[0, 584, 714, 846]", "0 584 846"),
        ("[0, 60.5, 90, 120.25, 200]", "0 60.5 120.25"),
        ("[0, 584, 714]", None),
        ("[0, nan, 714, 846]", None),
        ("[0, 900, 714, 846]", None),
        ("soon", None),
        ("[]", None),
        ("", None),
    ],
)
def test_times_belong_to_the_numbers_of_the_phases(tmp_path, text, times):
    save_images(tmp_path, "DUKE_001", (0, 1, 3))
    save_table(tmp_path, ("DUKE_001", text), columns=("patient_id", "acquisition_times"))
    assert only(tmp_path).facts.get("times_s") == times


@pytest.mark.parametrize("strength, digits", [("1.5T", "1.5"), ("3.0 Tesla", "3"), (1.494, "1.494"), ("high", None)])
def test_the_field_strength_is_a_number(tmp_path, strength, digits):
    save_images(tmp_path, "DUKE_001")
    save_table(tmp_path, ("duke_001", strength), columns=("patient_id", "field_strength"))
    assert only(tmp_path).facts.get("field_strength_t") == digits


def test_everything_else_is_listed_with_the_reason(root):
    save_images(root, "DUKE_002", ())
    save_images(root, "thumbnails", (0,))
    save_images(root, "NACT_01", (0,), "NACT_02")
    save_mask(root, "expert", "nact_77")
    save_mask(root, "expert", "._nact_01")
    (root / "images/.cache").mkdir()
    (root / "train_test_splits.csv").write_text("train_split,test_split\nDUKE_001,DUKE_500\n")
    save_table(root, ("DUKE_600", "DUKE"), ("duke_001", "duke"), columns=("patient_id", "dataset"))
    listing = read_listing(root)
    assert [source.case for source in listing.sources] == ["DUKE_001", "ISPY1_1001", "ISPY2_100899", "NACT_01"]
    reasons = {
        "DUKE_002": "no file DUKE_002_0000.nii.gz",
        "thumbnails": "not an id of MAMA-MIA",
        "images/NACT_01/NACT_02_0000.nii.gz": "not named after NACT_01",
        "segmentations/expert/nact_77.nii.gz": "no folder images/NACT_77",
        "DUKE_500": "in train_test_splits.csv",
        "DUKE_600": "in clinical_and_imaging_info.xlsx",
    }
    assert list(listing.unlisted) == sorted(reasons)
    assert all(part in listing.unlisted[name] for name, part in reasons.items())


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda root: save_images(root, "duke_001"), ("only in upper and lower case", "DUKE_001 and duke_001")),
        (
            lambda root: save_images(root, "DUKE_001", (1,)),
            ("upper and lower case", "DUKE_001_0001.nii.gz and duke_001_0001.nii.gz"),
        ),
        (lambda root: save_mask(root, "expert", "DUKE_001"), ("upper and lower case", "segmentations/expert")),
        (
            lambda root: save_table(root, ("NACT_01", "DUKE"), columns=("patient_id", "dataset")),
            ("case NACT_01", "contradicts", "DUKE", "expected: NACT"),
        ),
        (lambda root: save_table(root, ("NACT_01",), ("nact_01",), columns=("patient_id",)), ("case NACT_01", "twice")),
        (
            lambda root: save_table(root, ("NACT_01",), columns=("patient",)),
            ("imaging_info.xlsx", "no column patient_id"),
        ),
        (
            lambda root: (root / "train_test_splits.csv").write_text("train_split,test_split\nNACT_01,nact_01\n"),
            ("case NACT_01", "in both splits"),
        ),
        (
            lambda root: (root / "train_test_splits.csv").write_text("train,test_split\nNACT_01,\n"),
            ("no column train_split",),
        ),
        (lambda root: (root / "clinical_and_imaging_info.xlsx").write_text("x"), ("the workbook cannot be read",)),
    ],
)
def test_ambiguous_names_and_unusable_tables_are_refused(root, make, words, refused):
    make(root)
    refused(lambda: read_listing(root), str(root), "found", "expected", "what to do", *words)


@pytest.mark.parametrize(
    "make",
    [
        lambda root: None,
        lambda root: root.mkdir(),
        lambda root: root.write_text("x"),
        lambda root: (root / "images").mkdir(parents=True),
        lambda root: (root / "images/P1").mkdir(parents=True),
        lambda root: [root.mkdir(), (root / "images").write_text("x")],
        lambda root: [(root / "images").mkdir(parents=True), (root / "images/DUKE_001").write_text("x")],
    ],
)
def test_another_folder_is_not_recognised(tmp_path, make):
    make(tmp_path / "data")
    assert not recognises(tmp_path / "data")


def test_a_folder_without_images_is_refused(tmp_path, refused):
    refused(lambda: read_listing(tmp_path), str(tmp_path), "no folder images", mama_mia.EXPECTED)
