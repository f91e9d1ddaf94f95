"""DICOM that is cut, flipped, mixed up or absurd: refused with one clear line, or used; never anything else."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from imaging.dicom_header import read_headers
from pipeline.errors import InputError

USED, EITHER = "", "?"
CORPUS = {}
ONE_FILE = ("StudyInstanceUID", "SeriesInstanceUID", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient",
            "Rows", "Columns", "BitsAllocated")  # without which a slice cannot be used


def tags(name: str, outcome: str, everywhere: bool = False, role: str = "post1", **values) -> None:
    """Adds the damage of setting these elements in one file of a phase, or in all of them."""
    def damage(place):
        place.set_all(role, **values) if everywhere else place.set(place.image(role), **values)

    assert name not in CORPUS
    CORPUS[name] = damage, outcome


def kind(outcome: str, **cases):
    """Adds a damage that a function does; with `cases`, one for each value."""
    def add(function):
        assert function.__name__ not in CORPUS
        if not cases:
            CORPUS[function.__name__] = function, outcome
        for name, value in cases.items():
            CORPUS[f"{function.__name__} {name}"] = (lambda place, value=value: function(place, value)), outcome
        return function

    return add


def short(value: int) -> bytes:
    return value.to_bytes(2, "little")


for tag in ONE_FILE:
    tags(f"{tag} removed", f"no {tag}", **{tag: None})
    tags(f"{tag} emptied", f"no {tag}", **{tag: b""})
for tag in ("BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation", "SamplesPerPixel",
            "SOPClassUID", "Modality", "SeriesNumber", "AcquisitionTime", "InstanceNumber"):
    tags(f"{tag} removed", USED, **{tag: None})
    tags(f"{tag} emptied", USED, **{tag: b""})
for tag, word in (("PatientID", "several patients"), ("FrameOfReferenceUID", "differ in their frame")):
    tags(f"{tag} removed", word, **{tag: None})
    tags(f"{tag} other", word, **{tag: b"1.2.3.4 "})
tags("pixels removed", "no pixels", PixelData=None)
tags("pixels emptied", "0 bytes of pixels", PixelData=b"")
tags("pixels too many", "bytes of pixels", PixelData=bytes(1000))
tags("InstanceNumber removed from pre", "no usable InstanceNumber", role="pre", InstanceNumber=None)
tags("InstanceNumber text", "no usable InstanceNumber", role="pre", InstanceNumber=b"two ")
tags("InstanceNumber shared", "share one InstanceNumber", role="pre", InstanceNumber=b"1 ")
tags("InstanceNumber huge", "do not lie side by side", role="pre", InstanceNumber=b"9" * 30)
tags("SeriesInstanceUID all of another phase", "duplicated", True,
     SeriesInstanceUID=b"1.2.3.4 ", AcquisitionTime=b"090000")
tags("SeriesInstanceUID of one slice", "", SeriesInstanceUID=b"1.2.3.4 ")
tags("StudyInstanceUID of one slice", "several examinations", StudyInstanceUID=b"1.2.3.4 ")
tags("StudyInstanceUID of one series", "several examinations", True, StudyInstanceUID=b"1.2.3.4 ")
for text in ("0\\0", "-0.75\\0.75", "1e9\\1e9", "1e-9\\1e-9", "NaN\\NaN", "inf\\inf", "wide\\high", "0.75", "1\\1\\1", "\\"):
    tags(f"PixelSpacing {text}", "", True, PixelSpacing=text)
    tags(f"PixelSpacing {text} in one", "", PixelSpacing=text)
for text in ("0\\0\\0\\0\\0\\0", "1\\0\\0\\1\\0\\0", "nan\\0\\0\\0\\1\\0", "1e9\\0\\0\\0\\1e9\\0", "1\\0\\0\\0\\1", "a\\b\\c\\d\\e\\f", "0\\1\\0\\0\\0\\1"):
    tags(f"ImageOrientationPatient {text}", "", True, ImageOrientationPatient=text)
    tags(f"ImageOrientationPatient {text} in one", "", ImageOrientationPatient=text)
for text in ("nan\\0\\0", "0\\inf\\0", "1e30\\0\\0", "0\\0\\1e300", "0\\0", "here", "-10\\-20\\30"):
    tags(f"ImagePositionPatient {text}", "", True, ImagePositionPatient=text)
    tags(f"ImagePositionPatient {text} in one", "", ImagePositionPatient=text)
for size in (0, 1, 7, 65535):
    tags(f"Rows {size}", "", Rows=short(size))
    tags(f"Columns {size}", "", Columns=short(size))
for bits in (0, 1, 8, 12, 32, 64, 65535):
    tags(f"BitsAllocated {bits}", "", True, BitsAllocated=short(bits))
for bits in (1, 17, 65535):
    tags(f"BitsStored {bits}", "", True, BitsStored=short(bits))
tags("BitsAllocated of four bytes", "", BitsAllocated=bytes(4))
tags("HighBit 0", "", HighBit=short(0))
tags("PixelRepresentation 7", "", PixelRepresentation=short(7))
for colours in (2, 3, 65535):
    tags(f"SamplesPerPixel {colours}", "", SamplesPerPixel=short(colours))
for frames in ("0", "-1", "2", "1e9", "nan", "inf", "many"):
    tags(f"NumberOfFrames {frames}", "", NumberOfFrames=frames)
for word in ("MONOCHROME1", "RGB", "PALETTE COLOR", "?" * 200):
    tags(f"PhotometricInterpretation {word[:12]}", "", PhotometricInterpretation=word)
for text in ("0", "-1", "-1e30", "1e300", "1e-300", "nan", "inf", "steep", "1\\2", "9" * 400):
    tags(f"RescaleSlope {text[:9]}", "", True, RescaleSlope=text)
    tags(f"RescaleIntercept {text[:9]}", "", True, RescaleIntercept=text)
for word in ("CT", "SEG", "OT", "mr", "\\"):
    tags(f"Modality {word}", "", Modality=word)
    tags(f"Modality {word} everywhere", "", True, Modality=word)
for name, uid in (("CT", "1.2.840.10008.5.1.4.1.1.2"), ("screen", "1.2.840.10008.5.1.4.1.1.7"),
                  ("SEG", "1.2.840.10008.5.1.4.1.1.66.4"), ("nonsense", "x" * 300)):
    tags(f"SOPClassUID {name}", "", SOPClassUID=uid)
    tags(f"SOPClassUID {name} everywhere", "", True, SOPClassUID=uid)
for text in ("nan", "99", "-1", "noon", "250000", "09:00:00", "0900nan", "0900inf", "000000+9999", "9" * 300):
    tags(f"AcquisitionTime {text[:12]}", "", AcquisitionTime=text)
for text in ("nan", "inf", "-1e300", "late"):
    tags(f"TriggerTime {text}", "", TriggerTime=text)
    tags(f"TriggerTime {text} everywhere", "", True, TriggerTime=text)
for text in ("00000000", "99999999", "20010230", "tomorrow", "99991231"):
    tags(f"AcquisitionDate {text}", "", AcquisitionDate=text)
for text in ("nan", "inf", "-1", "1e300", "five"):
    tags(f"SeriesNumber {text}", "", True, SeriesNumber=text)
for text in ("nan", "inf", "strong", "-3"):
    tags(f"MagneticFieldStrength {text}", "", True, role="pre", MagneticFieldStrength=text)
for text in ("a\nb", "\x1b[31m", "\0\0", "é" * 40, "x" * 3000, "ax dyn pre", "", "=1+1"):
    tags(f"SeriesDescription {text[:8]!r}", "", True, SeriesDescription=text)
    tags(f"Manufacturer {text[:8]!r}", "", True, role="pre", Manufacturer=text)
for text in ("a\nb", "\0", "é", "x" * 3000):
    tags(f"PatientID {text[:8]!r}", "", True, PatientID=text)
tags("PixelPaddingValue of everything", "", True, role="pre", PixelPaddingValue=short(0), PixelPaddingRangeLimit=short(65535))
tags("PixelPaddingValue of four bytes", "", PixelPaddingValue=bytes(4))
tags("float pixels instead", "", PixelData=None, FloatPixelData=np.full(320, np.nan, "<f4").tobytes(), BitsAllocated=short(32))


@kind(EITHER, **{str(at): at for at in (0, 1, 100, 128, 131, 132, 140, 200, 300, 400, 500, 600, 700, 800, -641, -640, -639, -320, -2, -1)})
def cut(place, at):
    place.write(place.image(), place.image().read_bytes()[:at])


@kind(EITHER, **{str(seed): seed for seed in range(40)})
def flipped_header(place, seed):
    flip(place, seed, slice(0, -640), 1 + seed % 4)


@kind(EITHER, **{str(seed): seed for seed in range(10)})
def flipped_pixels(place, seed):
    flip(place, seed, slice(-640, None), 8)


def flip(place, seed, part, count):
    content = np.frombuffer(place.image().read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    inside = content[part]
    inside[rng.integers(0, inside.size, count)] = rng.integers(0, 256, count)
    place.write(place.image(), content.tobytes())


@kind("")
def slices_swapped_numbers(place):
    rng = np.random.default_rng(0)
    for file, number in zip(place.images("pre"), rng.permutation(6), strict=True):
        place.set(file, InstanceNumber=str(number + 1))


@kind(USED)
def numbers_shuffled_in_post(place):
    for file, number in zip(place.images("post1"), (4, 1, 6, 2, 5, 3), strict=True):
        place.set(file, InstanceNumber=str(number))


@kind("several patients")
def file_of_another_case(place):
    other = place.root / "Duke-Breast-Cancer-MRI/P1/study/2.000000-ax dyn 1st pass/1-003.dcm"
    place.write(place.image(), other.read_bytes())


@kind("several patients")
def series_of_another_case(place):
    for file in place.images():
        place.write(file, (place.root / "Duke-Breast-Cancer-MRI/P1" / file.relative_to(place.root / "Duke-Breast-Cancer-MRI/P2")).read_bytes())


@kind("")
def slice_of_another_phase(place):
    place.write(place.image("post1"), place.image("pre").read_bytes())


@kind("")
def slice_of_another_phase_beside(place):
    place.write(place.image("post1").with_name("9.dcm"), place.image("pre").read_bytes())


@kind("")
def slice_twice(place):
    place.write(place.image("post1").with_name("9.dcm"), place.image("post1").read_bytes())


@kind("")
def whole_phase_twice(place):
    for file in place.images("post1"):
        place.write(file.with_name("copy-" + file.name), file.read_bytes())


@kind("")
def phase_is_pre_again(place):
    for one, other in zip(place.images("post1"), place.images("pre"), strict=True):
        place.write(one, other.read_bytes())


@kind("")
def constant_pixels(place):
    place.set_all("pre", PixelData=bytes(640))


@kind("")
def one_slice_left(place):
    for file in place.images()[1:]:
        file.unlink()


@kind("")
def two_slices_left(place):
    for file in place.images()[2:]:
        file.unlink()


@kind("")
def no_slice_left(place):
    for file in place.images():
        file.unlink()


@kind("", zeros=bytes(5000), text=b"a letter", empty=b"", noise=np.random.default_rng(1).bytes(3000),
      mark=bytes(128) + b"DICM", gzip=b"\x1f\x8b" + bytes(100), zip=b"PK\3\4" + bytes(100))
def other_content(place, content):
    place.write(place.image(), content)


@kind("")
def undefined_lengths_to_the_end(place):
    content = place.image().read_bytes()
    place.write(place.image(), content[:-640] + b"\xff" * 640)


@kind("", **{syntax: f"1.2.840.10008.1.2{syntax}" for syntax in ("", ".1.99", ".2", ".4.50", ".4.70", ".4.80", ".4.90", ".4.91", ".4.201", ".5", ".4.100", ".7.1")})
def other_transfer_syntax(place, syntax):
    data = dcmread(place.image())
    written = place.image().read_bytes()
    old = str(data.file_meta.TransferSyntaxUID).encode()
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    at = written.index(old)
    size = len(old) + len(old) % 2
    changed = written[:at - 2] + len(new).to_bytes(2, "little") + new + written[at + size:]
    place.write(place.image(), changed)


@kind("", **{name: name for name in ("nothing", "noise", "zeros", "half")})
def deep_or_open_sequences(place, name):
    content = place.image().read_bytes()
    sequence = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    inside = {"nothing": sequence, "noise": sequence + np.random.default_rng(3).bytes(64),
              "zeros": sequence + bytes(64), "half": (sequence + item) * 500}[name]
    at = content.index(b"\x20\0\x0d\0UI")
    place.write(place.image(), content[:at] + inside + content[at:])


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_dicom(name, duke, tmp_path):
    damage, outcome = CORPUS[name]
    place = duke.copy(tmp_path)
    damage(place)
    place.expect("?")
