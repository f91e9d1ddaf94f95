"""Tables that are empty, huge, binary, encrypted, truncated, in another encoding, or have absurd values."""

import io
import zipfile

import openpyxl
import pytest

CORPUS = {}  # name: (layout, damage, whether all cases are still used, whether other cases may be affected)
MAPPING = "Breast-Cancer-MRI-filepath_filename-mapping"
TABLES = (
    ("own", "cases.csv"),
    ("duke", "cases.csv"),
    ("duke", "Annotation_Boxes.csv"),
    ("mama_mia", "train_test_splits.csv"),
    ("mama_mia", "clinical_and_imaging_info.xlsx"),
    ("archive", "Annotation_Boxes.xlsx"),
    ("archive", "Clinical_and_Other_Features.xlsx"),
    ("archive", "Imaging_Features.xlsx"),
    ("archive", f"{MAPPING}.xlsx"),
)
SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LAUGHS = (
    b'<!DOCTYPE s [<!ENTITY b0 "ha">'
    + b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10) for n in range(1, 10))
    + b']><worksheet xmlns="%s"><sheetData><row><c t="inlineStr"><is><t>&b9;</t></is></c></row></sheetData>'
    b"</worksheet>" % NAMESPACE
)


def column_less(old: bytes) -> bytes:
    return b"\n".join(line.rpartition(b",")[0] for line in old.split(b"\n"))


ANY = {  # damages of any table
    "empty": lambda old: b"",
    "binary": lambda old: bytes(range(256)) * 20,
    "zeros": lambda old: bytes(4000),
    "one byte": lambda old: old[:1],
    "html": lambda old: b"<html><body>404 not found</body></html>\n",
    "encrypted": lambda old: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000),
    "spaces": lambda old: b"   \n" * 9,
    "utf-16": lambda old: old.decode("latin-1").encode("utf-16"),
}
CSV = {
    "semicolons": lambda old: old.replace(b",", b";"),
    "tabs": lambda old: old.replace(b",", b"\t"),
    "quote left open": lambda old: old.replace(b"\n", b'\n"', 1),
    "zip": lambda old: b"PK\3\4" + old,
    "null byte": lambda old: old[:-20] + b"\0" + old[-20:],
    "no header": lambda old: old.split(b"\n", 1)[1],
    "latin-1": lambda old: old + "Ä".encode("latin-1"),
    "a cell more": lambda old: old.rstrip(b"\n") + b",more\n",
    "many columns": lambda old: old.replace(b"\n", b",x" * 3000 + b"\n", 1),
    "a huge cell": lambda old: old.rstrip(b"\n") + b"x" * 200_000 + b"\n",
}
HARMLESS = {
    "old line ends": lambda old: old.replace(b"\n", b"\r"),
    "byte order mark": lambda old: b"\xef\xbb\xbf" + old,
    "windows line ends": lambda old: old.replace(b"\n", b"\r\n"),
    "empty lines": lambda old: old + b"\n\n,\n",
}
EITHER = {
    "half": lambda old: old[: len(old) // 2],
    "twice": lambda old: old + old,
    "a line half": lambda old: old[:-12],
    "a column less": column_less,
    "without its end": lambda old: old[:-5],
    "header only": lambda old: old.split(b"\n")[0] + b"\n",
}


def zipped(parts: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return archive.getvalue()


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        return {name: old.read(name) for name in old.namelist()}


def in_sheet(change):
    def of_workbook(old: bytes) -> bytes:
        parts = parts_of(old)
        return zipped(parts | {SHEET: change(parts[SHEET])})

    return of_workbook


def flipped(old: bytes) -> bytes:
    return bytes(byte ^ 0xFF if place % 97 == 50 else byte for place, byte in enumerate(old))


XLSX = {
    "half": lambda old: old[: len(old) // 2],
    "no end": lambda old: old[:-30],
    "flipped": flipped,
    "zip of nothing": lambda old: b"PK\5\6" + bytes(18),
    "zip of a letter": lambda old: zipped({"a.txt": b"a"}),
    "no sheet": lambda old: zipped({name: part for name, part in parts_of(old).items() if name != SHEET}),
    "half a sheet": in_sheet(lambda old: old[: len(old) // 2]),
    "empty sheet": in_sheet(lambda old: b""),
    "sheet of noise": in_sheet(lambda old: bytes(range(256))),
    "bomb": in_sheet(lambda old: b" " * 30_000_000),
    "laughs": in_sheet(lambda old: LAUGHS),
    "cell nowhere": in_sheet(lambda old: old.replace(b'r="B2"', b'r="??"')),
}


def add(name, layout, damage, used=False, shared=False) -> None:
    assert name not in CORPUS
    CORPUS[name] = layout, damage, used, shared


def content(file, change):
    return lambda place: place.write(place.root / file, change((place.root / file).read_bytes()))


def cell(file, old, new):
    """Replace a text in a CSV file, or the first cell with this value in a workbook."""

    def damage(place):
        path = place.root / file
        if path.suffix == ".csv":
            assert old in path.read_text()
            place.write(path, path.read_text().replace(old, new))
            return
        book = openpyxl.load_workbook(path)
        next(cell for row in book.active.iter_rows() for cell in row if cell.value == old).value = new
        path.unlink()
        book.save(path)

    return damage


for layout, file in TABLES:
    more = CSV if file.endswith("csv") else XLSX if "Imaging" not in file and "mapping" not in file else {}
    kinds = {False: ANY | more}
    if file.endswith("csv"):
        kinds |= {True: HARMLESS, None: EITHER}
    for used, changes in kinds.items():
        for name, change in changes.items():
            add(f"{layout} {file}: {name}", layout, content(file, change), used, True)

BOX = "P2,9,9,10,11,3,3"
BOXES = {
    "outside": "P2,9,99,10,11,3,3",
    "before": "P2,0,9,10,11,3,3",
    "reversed": "P2,9,8,10,11,3,3",
    "of text": "P2,nine,9,10,11,3,3",
    "of halves": "P2,9.5,9,10,11,3,3",
    "of NaN": "P2,nan,nan,10,11,3,3",
    "to infinity": "P2,9,inf,10,11,3,3",
    "empty": "P2,,,,,,",
    "of 1e300": "P2,1,1e300,10,11,3,3",
    "negative": "P2,-9,-9,10,11,3,3",
    "of many digits": f"P2,{'9' * 400},9,10,11,3,3",
    "unfinished": "P2,9,9",
    "in no slice": "P2,9,9,10,11,3,7",
    "twice": f"{BOX}\n{BOX}",
    "of no patient": ",9,9,10,11,3,3",
}
for name, line in BOXES.items():
    add(f"box {name}", "duke", cell("Annotation_Boxes.csv", BOX, line))
add("box of a stranger", "duke", cell("Annotation_Boxes.csv", BOX, "P9,9,9,10,11,3,3"), True)
for name, value in {"text": "x", "formula": "=1+10", "error": "#DIV/0!", "truth": True, "nothing": None}.items():
    add(f"box in a workbook: {name}", "archive", cell("Annotation_Boxes.xlsx", 11, value), False, True)

IMAGE, MASK, PRE = "C2_post1.nii.gz", "C2_mask.nii.gz", "Duke-Breast-Cancer-MRI/P2/study/1.000000-ax dyn pre"
OWN = {
    "unknown phase": ("C2,post1,", "C2,post,"),
    "post0": ("C2,post1,", "C2,post0,"),
    "no pre": ("C2,pre,", "C2,post2,"),
    "post1000": ("C2,post1,", "C2,post1000,"),
    "pre twice": ("C2,post1,", "C2,pre,"),
    "no path": (IMAGE, ""),
    "a path out": (IMAGE, "../../../../etc/passwd"),
    "an absolute path": (IMAGE, "/etc/passwd"),
    "a folder": (IMAGE, "."),
    "a device": (IMAGE, "/dev/zero"),
    "an address": (IMAGE, "https://host/x.nii.gz"),
    "itself": (IMAGE, "cases.csv"),
    "a file of another": (IMAGE, "C1_post1.nii.gz"),
    "pre as post": (IMAGE, "C2_pre.nii"),
    "long path": (IMAGE, "x" * 5000),
    "long name": (IMAGE, "x" * 300),
    "time of text": (",60\nC3", ",soon\nC3"),
    "time NaN": (",60\nC3", ",nan\nC3"),
    "time inf": (",60\nC3", ",inf\nC3"),
    "time falls": (",60\nC3", ",-6\nC3"),
    "time stays": (",60\nC3", ",0\nC3"),
    "one time": (",60\nC3", ",\nC3"),
    "no mask": (MASK, "none.nii.gz"),
    "mask a folder": (MASK, "."),
    "mask a device": (MASK, "/dev/zero"),
    "mask an image": (MASK, "C2_pre.nii"),
    "mask null": (MASK, "a\0b"),
    "mask of a long path": (MASK, "x" * 5000),
    "mask a table": (MASK, "cases.csv"),
    "sites": (f"{IMAGE},,", f"{IMAGE},,B"),
    "site of lines": (f"{MASK},A", f'{MASK},"A\nB"'),
    "site with a colour": (f"{MASK},A", f"{MASK},\x1b[31m"),
}
DUKE = {
    "no mask": "no.nii",
    "mask out": "../../../../etc/passwd",
    "mask a folder": "segmentations",
    "mask null": "a\0b",
    "mask a device": "/dev/zero",
    "mask of a long path": "x" * 5000,
    "mask a series": PRE,
}
for name, (old, new) in OWN.items():
    add(f"own: {name}", "own", cell("cases.csv", old, new))
for name, new in DUKE.items():
    add(f"duke: {name}", "duke", cell("cases.csv", "segmentations/P2.nii", new))
for name, new in {"no site": "", "site of spaces": "   ", "site of lines": '"A\nB"', "site null": "A\0"}.items():
    add(f"duke: {name}", "duke", cell("cases.csv", "P2,A,", f"P2,{new},"))
IDS = {  # whether an id can be used; in the Duke layout it has no images
    "..": False,
    ".": False,
    ".C2": False,
    ".lock": False,
    "a/b": False,
    "a\\b": False,
    '"C2\nC2"': False,
    "": False,
    "C2\tx": False,
    "C" * 300: False,
    "\u202eC2": False,
    "cases.json": False,
    "cohort.csv": False,
    "C1.json": False,
    "C1": False,
    "c1": False,
    "C\0": False,
    "Fälle ü 乳房": True,
    "🩻": True,
    "C 2": True,
    "e\u0301": True,
    "%s%n{0}": True,
    "=1+1": True,
    '"C""2"': True,
    "-rf": True,
    "*": True,
    "~": True,
    "C" * 200: True,
}
for number, (new, used) in enumerate(IDS.items()):
    add(f"own id {number} {new[:9]!a}", "own", cell("cases.csv", "C2,", f"{new},"), used)
    add(
        f"duke id {number} {new[:9]!a}",
        "duke",
        cell("cases.csv", "P2,", f"{new},".replace("C1", "P1").replace("c1", "p1")),
    )

INFORMATION, SPLITS = "clinical_and_imaging_info.xlsx", "train_test_splits.csv"
OTHERS = (
    ("mama_mia", INFORMATION, "[0, 60]", "[soon]", True),
    ("mama_mia", INFORMATION, "[0, 60]", "[nan, 60]", True),
    ("mama_mia", INFORMATION, "[0, 60]", "[0]", True),
    ("mama_mia", INFORMATION, "[0, 60]", "[60, 0]", True),
    ("mama_mia", INFORMATION, 1.5, "strong", True),
    ("mama_mia", INFORMATION, 1.5, "a\nb", True),
    ("mama_mia", INFORMATION, "ACME", "a\nb", True),
    ("mama_mia", INFORMATION, "DUKE_002", "DUKE_999", True),
    ("mama_mia", INFORMATION, "DUKE_002", 2, True),
    ("mama_mia", INFORMATION, "DUKE_002", None, True),
    ("mama_mia", INFORMATION, "DUKE_002", "=A1", True),
    ("mama_mia", INFORMATION, "DUKE_002", "DUKE_001", False),
    ("mama_mia", INFORMATION, "ISPY1", "NACT", False),
    ("mama_mia", INFORMATION, "patient_id", "patient", False),
    ("mama_mia", INFORMATION, "patient_id", None, False),
    ("mama_mia", SPLITS, "DUKE_002", "DUKE_001", False),
    ("mama_mia", SPLITS, "DUKE_002", "DUKE_9", True),
    ("mama_mia", SPLITS, "DUKE_002", "duke_002", True),
    ("mama_mia", SPLITS, "test_split", "test", False),
    ("archive", "Annotation_Boxes.xlsx", "End Row", "Row", False),
    ("archive", "Clinical_and_Other_Features.xlsx", "Patient ID", "Patient", False),
    ("archive", "Clinical_and_Other_Features.xlsx", "GE=0, SIEMENS=2", "?", True),
    ("archive", "Clinical_and_Other_Features.xlsx", 2, "a\nb", True),
    ("archive", "Imaging_Features.xlsx", "Patient ID", "Patient", False),
    ("archive", "Imaging_Features.xlsx", "Breast_MRI_002", "Breast_MRI_999", True),
    ("archive", f"{MAPPING}.xlsx", "classic_path", "path", False),
    ("archive", f"{MAPPING}.xlsx", "images/Breast_MRI_001/1.2/1.2.3/1.dcm", "1.dcm", True),
    ("archive", f"{MAPPING}.xlsx", "images/Breast_MRI_001/1.2/1.2.3/1.dcm", 5, True),
    ("archive", f"{MAPPING}.xlsx", "images/Breast_MRI_001/1.2/1.2.3/1.dcm", "////", True),
)
for layout, file, old, new, used in OTHERS:
    add(f"{file}: {old} as {new!a}", layout, cell(file, old, new), used)


def test_the_corpus_is_large():
    assert len(CORPUS) >= 240


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_table(name, check_damage):
    check_damage(*CORPUS[name])
