"""Tables that are empty, huge, binary, encrypted, half, in another encoding, or say something absurd."""

import io
import zipfile

import openpyxl
import pytest

USED, EITHER = "", "?"
CORPUS = {}
TABLES = {"own cases.csv": ("own", "cases.csv"), "duke cases.csv": ("duke", "cases.csv"),
          "boxes.csv": ("duke", "Annotation_Boxes.csv"), "splits.csv": ("mama_mia", "train_test_splits.csv"),
          "information.xlsx": ("mama_mia", "clinical_and_imaging_info.xlsx"),
          "boxes.xlsx": ("archive", "Annotation_Boxes.xlsx"),
          "clinical.xlsx": ("archive", "Clinical_and_Other_Features.xlsx"),
          "features.xlsx": ("archive", "Imaging_Features.xlsx"),
          "mapping.xlsx": ("archive", "Breast-Cancer-MRI-filepath_filename-mapping.xlsx")}


def add(name, outcome, layout, damage):
    assert name not in CORPUS
    CORPUS[name] = layout, damage, outcome


def part_of(file, name, change) -> bytes:
    """A workbook with one of its parts changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, change(content) if part == name else content)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa">%s]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row><c t="inlineStr"><is><t>&b9;</t></is></c></row></sheetData></worksheet>""" % b"".join(
    b'<!ENTITY b%d "%s">' % (n, (b"&b%d;" % (n - 1) if n else b"&a;") * 10) for n in range(10))
ANY = {"empty": lambda old: b"", "binary": lambda old: bytes(range(256)) * 20, "zeros": lambda old: bytes(4000), "half": lambda old: old[:len(old) // 2],
       "one byte": lambda old: old[:1], "without its end": lambda old: old[:-30], "encrypted": lambda old: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000),
       "html": lambda old: b"<html><body>404 not found</body></html>\n", "twice": lambda old: old + old, "utf-16": lambda old: old.decode("latin-1").encode("utf-16"), "spaces": lambda old: b"   \n" * 9}
CSV = {"latin-1": lambda old: old.replace(b"A", "Ä".encode("latin-1")), "semicolons": lambda old: old.replace(b",", b";"), "tabs": lambda old: old.replace(b",", b"\t"),
       "old line ends": lambda old: old.replace(b"\n", b"\r"), "windows line ends": lambda old: old.replace(b"\n", b"\r\n"), "byte order mark": lambda old: b"\xef\xbb\xbf" + old,
       "quote left open": lambda old: old.replace(b"\n", b'\n"', 1), "null byte": lambda old: old[:-20] + b"\0" + old[-20:], "null in name": lambda old: old.replace(b"2,", b"2\0,"),
       "header only": lambda old: old.split(b"\n")[0] + b"\n", "no header": lambda old: old.split(b"\n", 1)[1], "a column less": lambda old: b"\n".join(line.rpartition(b",")[0] for line in old.split(b"\n")),
       "a cell more": lambda old: old.rstrip(b"\n") + b",more\n", "a huge cell": lambda old: old.rstrip(b"\n") + b"x" * 200_000 + b"\n", "many columns": lambda old: old.replace(b"\n", b",x" * 3000 + b"\n", 1),
       "empty lines": lambda old: old.replace(b"\n", b"\n\n,,,\n"), "formulas": lambda old: old.replace(b"A", b"=cmd|' /C calc'!A0"), "a line twice": lambda old: old + old.split(b"\n")[-2] + b"\n", "a line half": lambda old: old[:-12],
       "capital header": lambda old: old.split(b"\n", 1)[0].upper() + b"\n" + old.split(b"\n", 1)[1], "zip": lambda old: b"PK\3\4" + old}
XLSX = {"zip of nothing": lambda file: b"PK\5\6" + bytes(18), "zip of something else": lambda file: zipped({"a.txt": b"a"}), "sheet missing": lambda file: without(file, SHEET),
        "sheet half": lambda file: part_of(file, SHEET, lambda old: old[:len(old) // 2]), "sheet empty": lambda file: part_of(file, SHEET, lambda old: b""), "sheet of noise": lambda file: part_of(file, SHEET, lambda old: bytes(range(256))),
        "bomb": lambda file: part_of(file, SHEET, lambda old: old.replace(b"</sheetData>", b"<!--" + b" " * 300_000_000 + b"--></sheetData>")) if False else zipped({SHEET: b" " * 30_000_000}, file),
        "laughs": lambda file: part_of(file, SHEET, lambda old: LAUGHS), "rows up to anything": lambda file: part_of(file, SHEET, lambda old: old.replace(b'<row r="2"', b'<row r="999999999"')),
        "column far away": lambda file: part_of(file, SHEET, lambda old: old.replace(b'r="B2"', b'r="XFD2"')), "cell nowhere": lambda file: part_of(file, SHEET, lambda old: old.replace(b'r="B2"', b'r="??"')),
        "no number": lambda file: part_of(file, SHEET, lambda old: old.replace(b"<v>", b"<v>x")), "strings missing": lambda file: without(file, "xl/sharedStrings.xml"), "flipped": lambda file: flipped(file)}


def zipped(parts, file=None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        if file:
            with zipfile.ZipFile(file) as old:
                parts = {name: old.read(name) for name in old.namelist()} | parts
        for name, content in parts.items():
            new.writestr(name, content)
    return made.getvalue()


def without(file, part) -> bytes:
    with zipfile.ZipFile(file) as old:
        return zipped({name: old.read(name) for name in old.namelist() if name != part})


def flipped(file) -> bytes:
    content = bytearray(file.read_bytes())
    for at in range(50, len(content), 97):
        content[at] ^= 0xFF
    return bytes(content)


for table, (layout, file) in TABLES.items():
    for name, change in (ANY | (CSV if file.endswith("csv") else {})).items():
        add(f"{table}: {name}", "", layout, lambda place, file=file, change=change: place.write(place.root / file, change((place.root / file).read_bytes())))
    if file.endswith("xlsx"):
        for name, change in XLSX.items():
            add(f"{table}: {name}", "", layout, lambda place, file=file, change=change: place.write(place.root / file, change(place.root / file)))


def cells(place, file, old, new):
    """Changes a text of a table, .csv or .xlsx."""
    path = place.root / file
    if path.suffix == ".csv":
        text = path.read_text()
        assert old in text
        place.write(path, text.replace(old, new, 1))
        return
    book = openpyxl.load_workbook(path)
    found = [cell for row in book.active.iter_rows() for cell in row if str(cell.value) == old]
    found[0].value = new
    path.unlink()
    book.save(path)


BOX = "P2,9,9,10,11,3,3"
LINES = {"a box outside": "P2,9,99,10,11,3,3", "a box before": "P2,0,9,10,11,3,3", "a box reversed": "P2,9,8,10,11,3,3", "a box of text": "P2,nine,9,10,11,3,3", "a box of halves": "P2,9.5,9,10,11,3,3",
         "a box of NaN": "P2,nan,nan,10,11,3,3", "a box to infinity": "P2,9,inf,10,11,3,3", "an empty box": "P2,,,,,,", "a box of 1e300": "P2,1,1e300,10,11,3,3", "negative": "P2,-9,-9,10,11,3,3", "a huge number": "P2," + "9" * 400 + ",9,10,11,3,3",
         "of nobody": ",9,9,10,11,3,3", "of a stranger": "P9,9,9,10,11,3,3", "twice": BOX + "\n" + BOX, "other digits": "P2,９,9,10,11,3,3", "underscores": "P2,1_0,1_0,10,11,3,3", "slices outside": "P2,9,9,10,11,3,7", "unfinished": "P2,9,9"}
for name, line in LINES.items():
    add(f"boxes.csv: {name} ", "", "duke", lambda place, line=line: cells(place, "Annotation_Boxes.csv", BOX, line))
OWN = {"unknown phase": ("C2,post1,", "C2,post,"), "post0": ("C2,post1,", "C2,post0,"), "post 1000": ("C2,post1,", "C2,post1000,"), "pre twice": ("C2,post1,", "C2,pre,"), "no pre": ("C2,pre,", "C2,post2,"),
       "no path": ("C2_post1.nii.gz", ""), "a path out": ("C2_post1.nii.gz", "../../../../etc/passwd"), "an absolute path": ("C2_post1.nii.gz", "/etc/passwd"), "a folder": ("C2_post1.nii.gz", "."), "a device": ("C2_post1.nii.gz", "/dev/zero"), "a url": ("C2_post1.nii.gz", "https://host/x.nii.gz"),
       "another case's file": ("C2_post1.nii.gz", "C1_post1.nii.gz"), "pre as post": ("C2_post1.nii.gz", "C2_pre.nii"), "a long path": ("C2_post1.nii.gz", "x" * 5000), "a long name": ("C2_post1.nii.gz", "x" * 300 + ".nii.gz"), "its own table": ("C2_post1.nii.gz", "cases.csv"),
       "time of text": (",60\nC3", ",soon\nC3"), "time NaN": (",60\nC3", ",nan\nC3"), "time inf": (",60\nC3", ",inf\nC3"), "time falls": (",60\nC3", ",-60\nC3"), "time same": (",60\nC3", ",0\nC3"), "one time": (",60\nC3", ",\nC3"), "time 1e300": (",60\nC3", ",1e300\nC3"),
       "mask missing": ("C2_mask.nii.gz", "none.nii.gz"), "mask a folder": ("C2_mask.nii.gz", "."), "mask a device": ("C2_mask.nii.gz", "/dev/zero"), "mask is the image": ("C2_mask.nii.gz", "C2_pre.nii"), "mask null": ("C2_mask.nii.gz", "a\0b"), "mask long": ("C2_mask.nii.gz", "x" * 5000),
       "mask of another case": ("C2_mask.nii.gz", "C1_mask.nii.gz"), "mask is the table": ("C2_mask.nii.gz", "cases.csv"), "site twice": ("C2_post1.nii.gz,,,", "C2_post1.nii.gz,,B,"), "site of lines": ("C2_mask.nii.gz,A", 'C2_mask.nii.gz,"A\nB"'), "site long": ("C2_mask.nii.gz,A", "C2_mask.nii.gz," + "A" * 3000)}
for name, (old, new) in OWN.items():
    add(f"own cases.csv: {name} ", "", "own", lambda place, old=old, new=new: cells(place, "cases.csv", old, new))
IDS = {"two dots": "..", "a dot": ".", "hidden": ".C2", "a slash": "a/b", "a backslash": "a\\b", "lines": '"C2\nC2"', "a tab": "C2\tx", "long": "C" * 300, "unicode": "Fälle ü 乳房", "an emoji": "🩻", "right to left": "\u202eC2", "a space": "C 2",
       "accents": "e\u0301", "capital": "c1", "of another": "C1", "a file of the stage": "cases.json", "the table of the stage": "cohort.csv", "a note": "C1.json", "a lock": ".lock", "a percent": "%s%n", "a formula": "=1+1", "a quote": '"C""2"', "a dash": "-rf", "a star": "*", "a tilde": "~", "empty": ""}
for name, new in IDS.items():
    def damage(place, new=new):
        text = (place.root / "cases.csv").read_text()
        place.write(place.root / "cases.csv", text.replace("C2,", f"{new},"))
    add(f"own id: {name}", "", "own", damage)

    def damage(place, new=new):
        place.write(place.root / "cases.csv", (place.root / "cases.csv").read_text().replace("P2,", f"{new},").replace("C1", "P1").replace("c1", "p1"))
    add(f"duke id: {name}", "", "duke", damage)
DUKE = {"mask missing": ("segmentations/P2.nii", "no.nii"), "mask out": ("segmentations/P2.nii", "../../../../etc/passwd"), "mask a folder": ("segmentations/P2.nii", "segmentations"), "mask a device": ("segmentations/P2.nii", "/dev/zero"), "mask null": ("segmentations/P2.nii", "a\0b"), "mask long": ("segmentations/P2.nii", "x" * 5000),
        "no site": ("P2,A", "P2,"), "site of spaces": ("P2,A", "P2,   "), "site long": ("P2,A", "P2," + "x" * 3000), "mask a series": ("segmentations/P2.nii", "Duke-Breast-Cancer-MRI/P2/study/1.000000-ax dyn pre"), "mask a slice": ("segmentations/P2.nii", "Duke-Breast-Cancer-MRI/P2/study/1.000000-ax dyn pre/1-001.dcm")}
for name, (old, new) in DUKE.items():
    add(f"duke cases.csv: {name} ", "", "duke", lambda place, old=old, new=new: cells(place, "cases.csv", old, new))
MAMA = {"clinical_and_imaging_info.xlsx": {"times of text": ("[0, 60]", "[soon]"), "times NaN": ("[0, 60]", "[nan, 60]"), "times short": ("[0, 60]", "[0]"), "strength of text": ("1.5", "strong"), "id twice": ("DUKE_002", "DUKE_001"), "wrong dataset": ("ISPY1", "NACT"), "a stranger": ("DUKE_002", "DUKE_999"), "an id of numbers": ("DUKE_002", 2), "an error": ("DUKE_002", "#REF!"),
                                           "a formula": ("DUKE_002", "=A1"), "an empty id": ("DUKE_002", None), "no id column": ("patient_id", "patient"), "no column at all": ("patient_id", None)},
        "train_test_splits.csv": {"both parts": ("DUKE_001,DUKE_002", "DUKE_001,DUKE_001"), "strangers": ("DUKE_002", "DUKE_9"), "other column": ("test_split", "test"), "lower case": ("DUKE_002", "duke_002")}}
for file, changes in MAMA.items():
    for name, (old, new) in changes.items():
        add(f"{file}: {name} ", "", "mama_mia", lambda place, file=file, old=old, new=new: cells(place, file, old, new))
ARCHIVE = {"Annotation_Boxes": {"box of text": ("11", "x"), "column missing": ("End Row", "Row"), "formula": ("11", "=1+10"), "error": ("11", "#DIV/0!"), "a date": ("11", __import__("datetime").datetime(2001, 1, 1)), "truth": ("11", True)},
           "Clinical_and_Other_Features": {"no patients": ("Patient ID", "Patient"), "codes of text": ("GE=0, SIEMENS=2", "?"), "code unknown": ("2", "99")}, "Imaging_Features": {"no patients": ("Patient ID", "Patient"), "a stranger": ("Breast_MRI_002", "Breast_MRI_999")},
           "Breast-Cancer-MRI-filepath_filename-mapping": {"other columns": ("classic_path", "path"), "short paths": ("images/Breast_MRI_001/1.2/1.2.3/1-001.dcm", "1.dcm"), "numbers": ("images/Breast_MRI_001/1.2/1.2.3/1-001.dcm", 5), "nonsense": ("images/Breast_MRI_001/1.2/1.2.3/1-001.dcm", "////")}}
for file, changes in ARCHIVE.items():
    for name, (old, new) in changes.items():
        add(f"{file}: {name} ", "", "archive", lambda place, file=file, old=old, new=new: cells(place, f"{file}.xlsx", old, new))


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_table(name, request, tmp_path):
    layout, damage, outcome = CORPUS[name]
    place = request.getfixturevalue(layout).copy(tmp_path)
    damage(place)
    place.expect("?")
