"""DICOM files that are truncated, corrupted, mixed up or have absurd values."""

import numpy as np
import pytest
from pydicom import dcmread

CORPUS = {}  # name: (damage, whether the case is still used; None: either)
OPTIONAL = (
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "SOPClassUID",
    "Modality",
    "SeriesNumber",
    "AcquisitionTime",
    "InstanceNumber",
)
NEEDED = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "Rows",
    "Columns",
    "BitsAllocated",
    "PixelData",
    "PatientID",
    "FrameOfReferenceUID",
)
PIXELS = 640  # bytes of a slice, at the end of its file
ABSURD = {  # values of an element; those in USED are harmless in post1
    "PixelSpacing": (
        "0\\0",
        "-0.75\\0.75",
        "1e9\\1e9",
        "1e-9\\1e-9",
        "NaN\\NaN",
        "inf\\inf",
        "wide\\high",
        "0.75",
        "1\\1\\1",
        "\\",
    ),
    "ImageOrientationPatient": (
        "0\\0\\0\\0\\0\\0",
        "1\\0\\0\\1\\0\\0",
        "nan\\0\\0\\0\\1\\0",
        "1e9\\0\\0\\0\\1e9\\0",
        "1\\0\\0\\0\\1",
        "a\\b\\c\\d\\e\\f",
        "0\\1\\0\\0\\0\\1",
    ),
    "ImagePositionPatient": ("nan\\0\\0", "0\\inf\\0", "1e30\\0\\0", "0\\0\\1e300", "0\\0", "here", "-10\\-20\\30"),
    "Rows": (0, 1, 7, 65535),
    "Columns": (0, 1, 7, 65535),
    "BitsAllocated": (0, 1, 8, 12, 32, 64, 65535),
    "BitsStored": (1, 17, 65535),
    "HighBit": (0, 99),
    "PixelRepresentation": (7,),
    "SamplesPerPixel": (2, 3, 65535),
    "NumberOfFrames": ("0", "-1", "2", "1e9", "nan", "inf", "many"),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "?" * 200),
    "RescaleSlope": ("0", "-1", "-1e30", "1e300", "1e-300", "nan", "inf", "steep", "9" * 400),
    "RescaleIntercept": ("-1e30", "1e300", "nan", "inf", "deep"),
    "Modality": ("CT", "SEG", "mr", "\\"),
    "PatientID": ("a\nb", "\0", "é", "x" * 3000),
    "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.66.4", "x" * 99),
    "AcquisitionTime": ("nan", "99", "-1", "noon", "250000", "09:01:00", "0900nan", "0900inf", "000000+1", "9" * 300),
    "TriggerTime": ("nan", "inf", "-1e300", "late"),
    "SeriesNumber": ("nan", "inf", "-1", "1e300", "five"),
    "AcquisitionDate": ("00000000", "99999999", "20010230", "tomorrow", "99991231"),
    "MagneticFieldStrength": ("nan", "inf", "strong", "-3"),
    "Manufacturer": ("a\nb", "\x1b[31m", "é" * 40, "x" * 3000, "=1+1"),
    "SeriesDescription": ("a\nb", "\x1b[31m", "é" * 40, "x" * 3000, "", "ax dyn pre"),
}
USED = {
    ("PixelRepresentation", 7),
    ("NumberOfFrames", "0"),
    ("RescaleSlope", "-1"),
    ("RescaleSlope", "-1e30"),
    ("RescaleSlope", "1e-300"),
    ("RescaleIntercept", "-1e30"),
    ("AcquisitionTime", "99"),
    ("AcquisitionTime", "250000"),
    ("AcquisitionTime", "09:01:00"),
    ("AcquisitionTime", "9" * 300),
    ("TriggerTime", "-1e300"),
    ("SeriesNumber", "-1"),
    ("SeriesNumber", "1e300"),
    ("AcquisitionDate", "99991231"),
    ("MagneticFieldStrength", "-3"),
    *(("Manufacturer", text) for text in ABSURD["Manufacturer"]),
    ("SeriesDescription", "ax dyn pre"),  # if all phases are named pre, their times distinguish them
}


def damage(used: bool | None = False, **cases):
    """Add the damage of a function to the corpus; with `cases`, once for each of their values."""

    def add(function):
        for name, value in cases.items() or [("", None)]:
            arguments = (value,) if cases else ()
            CORPUS[f"{function.__name__} {name}"] = (
                (lambda place, arguments=arguments: function(place, *arguments)),
                used,
            )
        return function

    return add


def element(name: str, value, used: bool | None, everywhere: bool, role: str = "post1") -> None:
    """Add the damage of one element in one file of a phase, or in all its files."""
    content = value.to_bytes(2, "little") if isinstance(value, int) else value

    def change(place):
        place.set_all(role, **{name: content}) if everywhere else place.set(place.image(role), **{name: content})

    CORPUS[f"{name} {str(value)[:12]!a}{' in all' if everywhere else ''} of {role}"] = change, used


for tag in (*NEEDED, *OPTIONAL):
    element(tag, None, tag in OPTIONAL, False)
    element(tag, b"", tag in OPTIONAL, False)
for tag, values in ABSURD.items():
    for absurd in values:
        element(tag, absurd, (tag, absurd) in USED, True)
for tag in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SOPClassUID"):
    for absurd in ABSURD[tag]:
        element(tag, absurd, False, False)
for absurd in (None, "two", "1"):
    element("InstanceNumber", absurd, False, False, "pre")  # boxes refer to it
element("InstanceNumber", "9" * 30, True, False, "pre")
element("BitsAllocated", bytes(4), False, False)
element("PixelPaddingValue", bytes(4), False, False)
element("PixelData", bytes(1000), False, False)
element("PixelData", bytes(PIXELS), False, True, "pre")
for tag in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
    element(tag, b"1.2.3.4 ", False, False)
for tag in ("StudyInstanceUID", "PatientID"):
    element(tag, b"1.2.3.4 ", False, True)


@damage(
    **{
        str(at): at
        for at in (0, 1, 100, 128, 131, 132, 140, 200, 300, 400, 500, 600, 700, 800, -641, -640, -639, -320, -2, -1)
    }
)
def cut(place, at):
    place.write(place.image(), place.image().read_bytes()[:at])


@damage(None, **{str(seed): seed for seed in range(25)})
def flipped_header(place, seed):
    flip(place, seed, slice(0, -PIXELS), 1 + seed % 4)


@damage(True, **{str(seed): seed for seed in range(5)})
def flipped_pixels(place, seed):
    flip(place, seed, slice(-PIXELS, None), 8)


def flip(place, seed, part, count):
    content = np.frombuffer(place.image().read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    content[part][rng.integers(0, content[part].size, count)] ^= rng.integers(1, 256, count).astype(np.uint8)
    place.write(place.image(), content.tobytes())


@damage(True)
def numbers_shuffled(place):
    for file, number in zip(place.images("post1"), (4, 1, 6, 2, 5, 3), strict=True):
        place.set(file, InstanceNumber=str(number))


@damage(None)  # a box of one slice is contiguous in any order
def numbers_shuffled_where_boxes_count(place):
    for file, number in zip(place.images("pre"), (4, 1, 6, 2, 5, 3), strict=True):
        place.set(file, InstanceNumber=str(number))


@damage()
def slice_of_another_case(place):
    place.write(
        place.image(), (place.root / "Duke-Breast-Cancer-MRI/P1/study/2.000000-ax dyn 1st pass/1-003.dcm").read_bytes()
    )


@damage()
def series_of_another_case(place):
    for file in place.images():
        place.write(file, (file.parents[3] / "P1" / file.relative_to(file.parents[2])).read_bytes())


@damage(added="9.dcm", instead="1-003.dcm")
def slice_of_another_phase(place, name):
    place.write(place.image("post1").with_name(name), place.image("pre").read_bytes())


@damage()
def slice_twice(place):
    place.write(place.image("post1").with_name("9.dcm"), place.image("post1").read_bytes())


@damage()
def phase_twice_in_its_folder(place):
    for file in place.images("post1"):
        place.write(file.with_name(f"copy-{file.name}"), file.read_bytes())


@damage(True)
def phase_twice_in_two_folders(place):
    for file in place.images("post1"):
        target = file.parent.with_name("3.000000-copy")
        target.mkdir(exist_ok=True)
        data = dcmread(file)
        data.SeriesInstanceUID = "1.2.3"
        data.save_as(target / file.name)


@damage()
def both_phases_in_one_series(place):
    series = str(dcmread(place.image("pre")).SeriesInstanceUID)
    for file in place.images("post1"):
        place.set(file, SeriesInstanceUID=series + " " * (len(series) % 2))
        file.rename(place.image("pre").with_name(f"post-{file.name}"))


@damage()
def phase_is_pre_again(place):
    for one, other in zip(place.images("post1"), place.images("pre"), strict=True):
        place.write(one, other.read_bytes())


@damage(**{"0 left": 0, "1 left": 1, "2 left": 2, "5 left": 5})
def slices(place, kept):
    for file in place.images()[kept:]:
        file.unlink()


@damage(
    zeros=bytes(5000),
    text=b"a letter",
    empty=b"",
    noise=np.random.default_rng(1).bytes(3000),
    mark=bytes(128) + b"DICM",
    gzip=b"\x1f\x8b" + bytes(100),
    zip=b"PK\3\4" + bytes(100),
)
def other_content(place, content):
    place.write(place.image(), content)


@damage(
    **{
        f"1.2{end}": f"1.2.840.10008.1.2{end}"
        for end in ("", ".1.99", ".2", ".4.50", ".4.70", ".4.80", ".4.90", ".4.91", ".4.201", ".5", ".4.100", ".7.1")
    }
)
def another_transfer_syntax(place, syntax):
    content, old, new = place.image().read_bytes(), b"\x14\x001.2.840.10008.1.2.1\0", syntax.encode()
    assert content.count(old) == 1
    new += b"\0" * (len(new) % 2)
    place.write(place.image(), content.replace(old, len(new).to_bytes(2, "little") + new))


@damage(
    nothing=b"",
    noise=np.random.default_rng(3).bytes(64),
    zeros=bytes(64),
    deep=b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" * 500,
)
def sequence_without_end(place, inside):
    content, study = place.image().read_bytes(), b"\x20\0\x0d\0UI"
    place.write(place.image(), content.replace(study, b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + inside + study, 1))


@damage()
def float_pixels(place):
    place.set_all(PixelData=None, FloatPixelData=np.full(320, np.nan, "<f4").tobytes(), BitsAllocated=b"\x20\0")


@damage()
def all_padding(place):
    place.set_all("pre", PixelPaddingValue=bytes(2), PixelPaddingRangeLimit=b"\xff\xff")


def test_the_corpus_is_large():
    assert len(CORPUS) >= 240


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_dicom(name, check_damage):
    check_damage("duke", *CORPUS[name])
