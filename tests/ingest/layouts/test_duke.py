"""The Duke download: both kinds of folder names, its spreadsheets, names of masks, and wrong folders."""

import csv
from pathlib import Path

import openpyxl
import pytest
from pydicom import dcmread

from pre2post.ingest.layouts import layouts, read_cohort
from pre2post.ingest.layouts.duke import read_listing, recognises
from pre2post.ingest.study import open_study

ORIGINS = ("pre", "post_1", "post_2")
CLINICAL = [
    ["Patient Information", "MRI Technical Information", "", "Demographics"],
    ["Patient ID", "Manufacturer", "Field Strength (Tesla)", "Menopause (at diagnosis)"],
    [
        "",
        "GE MEDICAL SYSTEMS=0, MPTronic software=1, SIEMENS=2",
        "1.494=0, 1.5=1, 2.8936=2, 3=3",
        "{0 = pre, 1 = post, 2 = N/A}",
    ],
]


def save_sheet(path: Path, rows) -> None:
    """Write rows as .xlsx or .csv, by the suffix."""
    if path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows(rows)
        return
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def save_duke(root: Path, dicom, cases=("Breast_MRI_001", "Breast_MRI_002"), classic=False) -> dict[str, list[str]]:
    """Write the archive's folders and its mapping, with neutral descriptions; return the series paths by case."""
    rows, folders = [["original_path_and_filename", "classic_path", "descriptive_path"]], {}
    for seed, case in enumerate(cases):
        for phase, origin in enumerate(ORIGINS):
            work = root / "work"
            files = dicom.save_series(
                work, dicom.body_array(seed) + 100 * phase, f"ax dyn {phase}", 5 + phase, f"09{phase:02d}00", case
            )
            head = dcmread(files[0], stop_before_pixels=True)
            named = f"{5 + phase}.000000-ax dyn {phase}-{phase}2345"
            parts = (head.StudyInstanceUID, head.SeriesInstanceUID) if classic else ("01-01-1990-MRI BREAST-9", named)
            target = root / "Duke-Breast-Cancer-MRI" / case / parts[0] / parts[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            work.rename(target)
            folders.setdefault(case, []).append(str(target))
            rows += [
                [
                    f"DICOM_Images/{case}/{origin}/{case}_{origin}_{n + 1:03d}.dcm",
                    f"Duke-Breast-Cancer-MRI/{case}/{head.StudyInstanceUID}/{head.SeriesInstanceUID}/{file.name}",
                    f"Duke-Breast-Cancer-MRI/{case}/01-01-1990-MRI BREAST-9/{named}/{file.name}",
                ]
                for n, file in enumerate(files)
            ]
    save_sheet(root / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx", rows)
    return folders


@pytest.mark.parametrize("classic", [False, True], ids=["descriptive", "classic"])
def test_both_kinds_of_folder_names_give_the_phases_of_the_mapping(tmp_path, dicom, classic):
    folders = save_duke(tmp_path, dicom, classic=classic)
    name, listing = read_cohort(tmp_path)
    assert name == "duke" and [source.case for source in listing.sources] == ["Breast_MRI_001", "Breast_MRI_002"]
    for source in listing.sources:
        phases = open_study(source).phases
        assert {role: str(phase.file) for role, phase in phases.items()} == dict(
            zip(("pre", "post1", "post2"), folders[source.case], strict=True)
        )
        assert [phase.seconds for phase in phases.values()] == [0, 60, 120]


def test_the_mapping_overrides_names_and_times(tmp_path, dicom):
    folders = save_duke(tmp_path, dicom, cases=("Breast_MRI_001",))
    path = tmp_path / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx"
    rows = [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows()]
    for row in rows[1:]:  # in this mapping the last series is pre
        row[0] = row[0].replace("/pre/", "/X/").replace("/post_2/", "/pre/").replace("/X/", "/post_2/")
    save_sheet(path.with_suffix(".csv"), rows)
    path.unlink()
    phases = open_study(read_listing(tmp_path).sources[0]).phases
    assert [str(phase.file) for phase in phases.values()] == [folders["Breast_MRI_001"][place] for place in (2, 1, 0)]


def test_t1_of_the_mapping_is_not_a_phase(tmp_path, dicom):
    save_duke(tmp_path, dicom, cases=("Breast_MRI_001",))
    path = tmp_path / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx"
    rows = [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows()]
    save_sheet(path, [[str(cell).replace("/post_2/", "/T1/") for cell in row] for row in rows])
    study = open_study(read_listing(tmp_path).sources[0])
    assert list(study.phases) == ["pre", "post1"]
    assert study.skipped_series == ["ax dyn 2 (7): not a phase, according to the archive's table or a known exception"]


def test_facts_are_read_from_the_clinical_table_below_its_second_header(tmp_path, dicom):
    save_duke(tmp_path, dicom)
    save_sheet(
        tmp_path / "Clinical_and_Other_Features.xlsx",
        [*CLINICAL, ["Breast_MRI_001", 2, 1, 0], ["Breast_MRI_002", 0, 3, 1], ["Breast_MRI_003", 0, 3, 1]],
    )
    save_sheet(tmp_path / "Imaging_Features.xlsx", [["Patient ID", "F1"], ["Breast_MRI_001", 1], ["Breast_MRI_900", 2]])
    listing = read_listing(tmp_path)
    assert [dict(source.facts) for source in listing.sources] == [
        {"manufacturer": "SIEMENS", "field_strength_t": "1.5"},
        {"manufacturer": "GE MEDICAL SYSTEMS", "field_strength_t": "3"},
    ]
    reason = "in the archive's tables, but without images"
    assert dict(listing.unlisted) == {"Breast_MRI_003": reason, "Breast_MRI_900": reason}


def test_known_exceptions_apply_only_to_the_real_patient(tmp_path, dicom):
    for number, minute in ((5, 0), (8, 1), (11, 2), (13, 3), (15, 4)):
        dicom.save_series(
            tmp_path / f"Duke-Breast-Cancer-MRI/Breast_MRI_120/s/{number}",
            dicom.body_array(0) + number,
            "ax dyn pre" if number < 15 else "ax dyn 1st pass",
            number,
            f"09{minute:02d}00",
        )
    source = read_listing(tmp_path).sources[0]
    series = open_study(source).phases
    assert [phase.file.name for phase in series.values()] == ["5", "8", "11", "13", "15"]
    (tmp_path / "PHANTOM.json").write_text("{}")
    phantom = read_listing(tmp_path).sources[0]
    assert phantom.patient == "phantom:Breast_MRI_120" and not phantom.roles


@pytest.mark.parametrize("where", ["", "manifest-1654812109500"])
def test_the_folders_of_the_downloader(tmp_path, dicom, where):
    save_duke(tmp_path / where, dicom)
    (tmp_path / where / "Duke-Breast-Cancer-MRI/LICENSE").write_text("CC BY-NC")
    (tmp_path / "metadata.csv").write_text("Series UID\n")
    assert [source.patient for source in read_listing(tmp_path).sources] == ["duke:001", "duke:002"]
    inside = tmp_path / where / "Duke-Breast-Cancer-MRI"
    assert recognises(inside) and len(read_listing(inside).sources) == 2


@pytest.mark.parametrize(
    "place",
    [
        "segmentations/Breast_MRI_001.nii.gz",
        "masks/duke_001.nii.gz",
        "segmentations/DUKE_001.nii",
        "masks/Breast_MRI_001.dcm",
    ],
)
def test_masks_are_found_by_any_of_their_names(tmp_path, dicom, place):
    save_duke(tmp_path, dicom)
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).write_bytes(b"")
    assert [source.mask for source in read_listing(tmp_path).sources] == [tmp_path / place, None]


def test_boxes_are_assigned_to_their_patients_and_others_are_listed(tmp_path, dicom):
    save_duke(tmp_path, dicom)
    columns = ["Patient ID", "Start Row", "End Row", "Start Column", "End Column", "Start Slice", "End Slice"]
    save_sheet(
        tmp_path / "Annotation_Boxes.xlsx",
        [columns, ["Breast_MRI_002", 1, 2, 3, 4, 5, 6], ["Breast_MRI_007", 1, 2, 3, 4, 5, 6]],
    )
    listing = read_listing(tmp_path)
    assert [source.box is not None for source in listing.sources] == [False, True]
    assert listing.sources[1].box.values["End Slice"] == "6" and list(listing.unlisted) == ["Breast_MRI_007"]


@pytest.mark.parametrize(
    "name, rows, words",
    [
        ("Clinical_and_Other_Features.xlsx", [["a"], ["b"], ["c"]], "a column Patient ID"),
        ("Imaging_Features.xlsx", [["Patient", "F1"], ["Breast_MRI_001", 1]], "a column Patient ID"),
        ("Breast-Cancer-MRI-filepath_filename-mapping.csv", [["path"], ["x"]], "original_path_and_filename"),
        ("Annotation_Boxes.xlsx", [["Patient ID", "Start Row"], ["Breast_MRI_001", 1]], "no column End Row"),
    ],
)
def test_a_table_with_other_columns_is_refused(tmp_path, dicom, name, rows, words, refused):
    save_duke(tmp_path, dicom, cases=("Breast_MRI_001",))
    (tmp_path / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx").unlink()
    save_sheet(tmp_path / name, rows)
    refused(lambda: read_listing(tmp_path), name, words, "what to do")


def test_a_folder_without_a_line_in_the_table_is_listed(tmp_path, dicom):
    dicom.save_cohort(tmp_path)
    dicom.save_case(tmp_path, "P9")
    assert dict(read_listing(tmp_path).unlisted) == {"P9": "the folder is not in cases.csv"}


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda root: None, ("does not exist", "nothing")),
        (lambda root: root.write_text("x"), ("does not exist", "a file")),
        (lambda root: root.mkdir(), ("empty", "pre2post phantom")),
        (lambda root: (root / "holiday").mkdir(parents=True), ("not a cohort", "holiday")),
        (
            lambda root: [root.mkdir(), (root / "cases.csv").write_text("case,site,mask\n")],
            ("not a cohort", "cases.csv", "ingest.layout"),
        ),
    ],
)
def test_a_folder_that_is_not_a_cohort_is_refused(tmp_path, make, words, refused):
    make(tmp_path / "data")
    refused(lambda: read_cohort(tmp_path / "data"), str(tmp_path / "data"), "found", "expected", "what to do", *words)


@pytest.mark.parametrize(
    "table, words",
    [
        ("case,site,mask\n", ("no line",)),
        ("case,mask\nP1,\n", ("no column site",)),
        ("", ("no header",)),
        ("case,site,mask\n,A,\n", ("no usable id", "line 2")),
        ("case,site,mask\nP1,,\n", ("no usable id",)),
        ("case,site,mask\n../P1,A,\n", ("no usable id",)),
        ("case,site,mask\nP1\n", ("no usable id",)),
        ("case,site,mask\nP1,A,\nP1,B,\n", ("two cases have one id", "case P1")),
        ("case,site,mask\nP1,A,\np1,A,\n", ("two cases have one id", "P1 and p1")),
    ],
)
def test_a_bad_table_is_refused(tmp_path, dicom, table, words, refused):
    dicom.save_cohort(tmp_path, 1)
    (tmp_path / "cases.csv").write_text(table)
    refused(lambda: read_cohort(tmp_path), "cases.csv", *words)


def test_the_layouts_are_complete_and_an_unknown_one_is_refused(tmp_path, dicom, refused):
    assert set(layouts()) == {"duke", "mama_mia", "nifti"}
    for layout in layouts().values():
        assert layout.__doc__ and layout.EXPECTED and not layout.recognises(tmp_path / "nothing")
    save_duke(tmp_path, dicom)
    refused(lambda: read_cohort(tmp_path, "bids"), "unknown layout", "bids", "duke, mama_mia, nifti")
    refused(lambda: read_cohort(tmp_path, "mama_mia"), "images")
    assert read_cohort(tmp_path) == read_cohort(tmp_path, "duke")
