"""Unexpected names, links, pipes, folders and permissions in a cohort, and damaged DICOM SEG masks."""

import os
import shutil
import socket

import numpy as np
import pytest

CORPUS = {}  # name: (layout, damage, whether the case is still used; None: either)
NAMES = {
    "lines": "a\nb",
    "spaces": "  a  b ",
    "unicode": "Fälle ü 乳房 🩻",
    "no utf-8": "a\udcffb",
    "long": "x" * 251,
    "a colour": "\x1b[31ma",
    "signs": '-it\'s %s{0} "a\\b" *?[a]',
    "turned": "\u202ea",
}
IMAGES, CASE = "Duke-Breast-Cancer-MRI", "Duke-Breast-Cancer-MRI/P2"
SERIES = f"{CASE}/study/2.000000-ax dyn 1st pass"


def add(name, layout, damage, used=False) -> None:
    assert name not in CORPUS
    CORPUS[name] = layout, damage, used


def instead(path, make) -> None:
    """Replace a file or folder by something else."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


def link(target):
    return lambda path: path.symlink_to(target)


def listen(path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # names of sockets must be short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


def shut(path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not restrict root")
    path.mkdir()
    path.chmod(0)


def rename_slice(place, name) -> None:
    place.image().rename(place.image().with_name(name))


def cut_slice(place, name) -> None:
    rename_slice(place, name)
    file = place.root / SERIES / name
    place.write(file, file.read_bytes()[:-9])


def cut_series(place, name) -> None:
    place.write(place.image(), place.image().read_bytes()[:-9])
    (place.root / SERIES).rename(place.root / CASE / name)


THINGS = {
    "pipe": os.mkfifo,
    "socket": listen,
    "broken link": link("nowhere"),
    "link to a device": link("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to its folder": link("."),
    "link to a long name": link("y" * 255 + "/z" * 1500),
    "folder": lambda path: path.mkdir(),
    "shut folder": shut,
}
REPLACED = {
    "slice": ("duke", f"{SERIES}/1-003.dcm", False),
    "series": ("duke", SERIES, False),
    "case": ("duke", CASE, False),
    "boxes": ("duke", "Annotation_Boxes.csv", None),
    "list": ("duke", "cases.csv", None),
    "table": ("own", "cases.csv", False),
    "pre": ("own", "C2_pre.nii", False),
    "post1": ("own", "C2_post1.nii.gz", False),
    "mask": ("own", "C2_mask.nii.gz", False),
    "split": ("mama_mia", "train_test_splits.csv", None),
    "images": ("mama_mia", "images", False),
    "information": ("mama_mia", "clinical_and_imaging_info.xlsx", None),
    "folder of images": ("mama_mia", "images/DUKE_002", None),
    "phase": ("mama_mia", "images/DUKE_002/duke_002_0001.nii.gz", False),
}
for name, text in NAMES.items():
    for ending in (".dcm", ""):
        add(f"slice called {name}{ending}", "duke", lambda place, text=text + ending: rename_slice(place, text), True)
    add(f"cut slice called {name}", "duke", lambda place, text=text: cut_slice(place, f"{text}.dcm"))
    add(f"letter called {name}", "duke", lambda place, text=text: (place.root / SERIES / text).touch(), True)
    add(
        f"series called {name}",
        "duke",
        lambda place, text=text: (place.root / SERIES).rename(place.root / CASE / text),
        True,
    )
    add(f"cut series called {name}", "duke", lambda place, text=text: cut_series(place, text))
    add(f"no case called {name}", "duke", lambda place, text=text: (place.root / IMAGES / text).mkdir(), True)
    add(f"no id called {name}", "mama_mia", lambda place, text=text: (place.root / "images" / text).mkdir(), True)
    add(
        f"no mask called {name}",
        "mama_mia",
        lambda place, text=text: (place.root / "segmentations/expert" / f"{text[:240]}.nii.gz").touch(),
        True,
    )
for name, make in THINGS.items():
    for what, (layout, path, used) in REPLACED.items():
        if (name, what) != ("link to its folder", "case"):  # this case would contain all others
            add(
                f"{name} instead of a {what}",
                layout,
                lambda place, path=path, make=make: instead(place.root / path, make),
                used,
            )
    add(f"{name} next to the slices", "duke", lambda place, make=make: make(place.root / SERIES / "a"), True)
    add(f"{name} next to the slices.dcm", "duke", lambda place, make=make: make(place.root / SERIES / "a.dcm"), None)
    add(f"{name} next to the series", "duke", lambda place, make=make: make(place.root / CASE / "study/a"), True)
    add(f"{name} next to the cases", "duke", lambda place, make=make: make(place.root / IMAGES / "a"), True)
    add(f"{name} next to the volumes", "own", lambda place, make=make: make(place.root / "a"), True)


def test_the_corpus_is_large():
    assert len(CORPUS) >= 240


@pytest.mark.parametrize("name", CORPUS)
def test_odd_place(name, check_damage):
    check_damage(*CORPUS[name])


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory, duke) -> bytes:
    """Return the mask of P2 as a DICOM SEG."""
    import pydicom
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    images = [pydicom.dcmread(file) for file in sorted((duke.root / CASE / "study").glob("1.*/*.dcm"))]
    for image in images:
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.ReferringPhysicianName = ""
        image.StudyTime = ""
    mask = np.zeros((6, 16, 20), np.uint8)
    mask[2, 8, 9:11] = 1
    tumour = SegmentDescription(1, "Tumor", codes.SCT.Tissue, codes.SCT.Breast, SegmentAlgorithmTypeValues.MANUAL)
    file = tmp_path_factory.mktemp("seg") / "seg.dcm"
    Segmentation(images, mask, "BINARY", [tumour], "1.2.3.4", 9, "1.2.3.5", 1, "ACME", "one", "1", "1").save_as(file)
    return file.read_bytes()


def flipped(content: bytes, seed: int) -> bytes:
    array, rng = np.frombuffer(content, np.uint8).copy(), np.random.default_rng(seed)
    array[rng.integers(132, array.size, 3)] ^= rng.integers(1, 256, 3).astype(np.uint8)
    return array.tobytes()


@pytest.mark.filterwarnings("ignore")  # pydicom warns about damaged files
@pytest.mark.parametrize(
    "spoil, used",
    [
        (lambda content: content, True),
        *[(lambda content, at=at: content[:at], False) for at in (200, 800, 2000, 3000, -30, -1)],
        *[(lambda content, seed=seed: flipped(content, seed), None) for seed in range(12)],
    ],
)
def test_damaged_segmentation(duke, segmentation, tmp_path, spoil, used):
    place = duke.copy(tmp_path)
    place.write(place.root / "segmentations/P2.nii", spoil(segmentation))
    place.expect(used)
