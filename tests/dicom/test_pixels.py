"""Stored pixels of every kind equal the numbers that SimpleITK (GDCM), pydicom and dcm2niix read."""

import subprocess
from contextlib import suppress
from pathlib import Path

import dcm2niix
import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_rescale
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from pre2post.core.errors import InputError
from pre2post.dicom.header import read_header
from pre2post.dicom.pixels import CODECS, RUN_LENGTHS, read_pixels
from pre2post.dicom.series import order_slices, read_series, scan_series
from pre2post.image.volume import Volume, to_lps
from pre2post.io.volume_file import read_volume

SHAPE = (3, 12, 10)
JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST, JPEG_LS, JPEG_2000, HT_JPEG_2000 = (
    f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 70, 80, 90, 201)
)


def load(folder: Path) -> Volume:
    (group,) = scan_series(folder, "P1")
    return read_series(order_slices(group, "P1"))


def values(bits: int, signed: bool, seed: int = 0, shape=SHAPE) -> np.ndarray:
    """Numbers over the entire range, including both ends."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    array = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    array[:, 0, :2] = low, high
    return array


def save(
    dicom,
    folder: Path,
    array: np.ndarray,
    allocated: int = 16,
    bits: int = 16,
    signed: bool = False,
    syntax=None,
    garbage: int = 0,
    code=None,
    each=lambda z: {},
    **tags,
) -> list[Path]:
    """Save one file per slice; `garbage` fills the spare bits, `code` compresses a slice, `each` gives its tags."""
    files = dicom.save_series(folder, np.zeros(array.shape), **tags)
    for z, (file, plane) in enumerate(zip(files, array, strict=True)):
        data = pydicom.dcmread(file)
        data.BitsAllocated, data.BitsStored, data.HighBit = allocated, bits, bits - 1
        data.PixelRepresentation = int(signed)
        stored = (plane.astype(np.int64) & ((1 << bits) - 1)) | (garbage << bits)
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        stored = np.ascontiguousarray(stored & ((1 << allocated) - 1), f"{order}u{allocated // 8}")
        data.PixelData = encapsulate([code(stored, bits)]) if code else stored.tobytes()
        data["PixelData"].VR = "OB" if allocated == 8 or code else "OW"
        for name, value in each(z).items():
            setattr(data, name, value)
        write(file, data, syntax)
    return files


def write(file: Path, data: Dataset, syntax) -> None:
    if syntax is not None:
        data.file_meta.TransferSyntaxUID = UID(syntax)
    fresh = pydicom.FileDataset(
        None, {element.tag: element for element in data}, preamble=bytes(128), file_meta=data.file_meta
    )
    pydicom.dcmwrite(
        file,
        fresh,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )


def simpleitk(files: list[Path]) -> np.ndarray:
    return np.concatenate([sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files])


def from_pydicom(files: list[Path]) -> np.ndarray:
    every = [pydicom.dcmread(file) for file in files]
    return np.stack([apply_rescale(data.pixel_array, data) for data in every])


@settings(max_examples=60, deadline=None)
@given(
    allocated=st.sampled_from([8, 16, 32]),
    spare=st.integers(0, 12),
    signed=st.booleans(),
    seed=st.integers(0, 99),
    syntax=st.sampled_from([None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]),
    rescale=st.one_of(
        st.none(),
        st.lists(
            st.tuples(
                st.integers(-40, 40).filter(bool).map(lambda x: x / 8), st.integers(-9000, 9000).map(lambda x: x / 4)
            ),
            min_size=3,
            max_size=3,
        ),
    ),
)
def test_every_arrangement_of_bits_is_read(dicom, tmp_path_factory, allocated, spare, signed, seed, syntax, rescale):
    bits = max(allocated - spare, 2)
    if allocated == 8 and syntax == ExplicitVRBigEndian:
        syntax = None
    array = values(bits, signed, seed)
    numbers = rescale or [(1, 0)] * 3
    files = save(
        dicom,
        tmp_path_factory.mktemp("bits"),
        array,
        allocated,
        bits,
        signed,
        syntax,
        each=lambda z: dict(zip(("RescaleSlope", "RescaleIntercept"), numbers[z], strict=True)),
    )
    slopes, intercepts = np.array(numbers).T[:, :, None, None]
    expected = array * slopes + intercepts
    found = load(files[0].parent).array
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    np.testing.assert_array_equal(from_pydicom(files).astype(np.float32), expected.astype(np.float32))
    if allocated == 16 and rescale is None:
        assert found.dtype == (np.int16 if signed else np.uint16)


@pytest.mark.parametrize(
    "allocated, bits, signed, slope, intercept, dtype",
    [
        (16, 16, True, None, None, np.int16),
        (16, 12, False, 1, 0, np.uint16),
        (16, 12, False, 1, -1024, np.int16),
        (16, 12, False, 16, 0, np.uint16),
        (16, 12, False, 17, 0, np.float32),
        (16, 16, False, 1, -5, np.float32),
        (16, 12, False, 0.5, 0, np.float32),
        (8, 8, False, None, None, np.int16),
        (32, 32, False, None, None, np.float32),
    ],
)
def test_integers_stay_integers_if_16_bits_hold_them(tmp_path, dicom, allocated, bits, signed, slope, intercept, dtype):
    tags = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": intercept}
    files = save(dicom, tmp_path, values(bits, signed), allocated, bits, signed, **tags)
    found = load(tmp_path).array
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, simpleitk(files).astype(dtype))


def test_slices_of_both_signs_are_read(tmp_path, dicom):
    array = values(12, False)
    files = save(dicom, tmp_path, array, bits=13, each=lambda z: {"PixelRepresentation": z % 2})
    np.testing.assert_array_equal(load(tmp_path).array, array)
    np.testing.assert_array_equal(simpleitk(files), array)


@pytest.mark.parametrize("signed", [False, True])
def test_spare_bits_do_not_count(tmp_path, dicom, signed):
    array = values(12, signed)
    files = save(dicom, tmp_path, array, bits=12, signed=signed, garbage=0b1010)
    np.testing.assert_array_equal(load(tmp_path).array, array)
    np.testing.assert_array_equal(from_pydicom(files), array)


def lossless(stored, bits):
    return imagecodecs.jpeg8_encode(stored, lossless=True, bitspersample=bits)


def wavelets(stored, bits):
    return imagecodecs.jpeg2k_encode(stored, level=0, codecformat="j2k", bitspersample=bits)


ENCODERS = {
    JPEG_LOSSLESS: lossless,
    JPEG_LOSSLESS_FIRST: lossless,
    JPEG_2000: wavelets,
    JPEG_LS: lambda stored, bits: imagecodecs.jpegls_encode(stored),
}


@pytest.mark.parametrize("bits, signed", [(16, False), (16, True), (12, False), (12, True)])
@pytest.mark.parametrize("syntax", ENCODERS)
def test_compressed_pixels_are_those_of_gdcm(tmp_path, dicom, syntax, bits, signed):
    array = values(bits, signed)
    files = save(dicom, tmp_path, array, bits=bits, signed=signed, syntax=syntax, code=ENCODERS[syntax])
    found = load(tmp_path).array
    assert found.dtype == (np.int16 if signed else np.uint16)
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(simpleitk(files), array)


def test_signed_jpeg_2000_code_is_read(tmp_path, dicom):
    """Encoders differ in whether the code itself states that numbers are signed."""
    array = values(12, True)
    files = save(
        dicom,
        tmp_path,
        array,
        bits=12,
        signed=True,
        syntax=JPEG_2000,
        code=lambda stored, bits: wavelets((stored.astype(np.int16) << 4) >> 4, bits),
    )
    np.testing.assert_array_equal(load(tmp_path).array, array)
    np.testing.assert_array_equal(simpleitk(files), array)


@pytest.mark.parametrize("signed", [False, True])
def test_run_lengths_are_read(tmp_path, dicom, signed):
    array = np.repeat(values(16, signed), 3, axis=2)
    files = save(dicom, tmp_path, array, signed=signed)
    for file in files:
        data = pydicom.dcmread(file)
        data.compress(RLELossless, generate_instance_uid=False)
        data.save_as(file)
    np.testing.assert_array_equal(load(tmp_path).array, array)
    np.testing.assert_array_equal(simpleitk(files), array)


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_run_lengths_are_read_or_refused(dicom, tmp_path_factory, changes):
    file = save(dicom, tmp_path_factory.mktemp("runs"), values(16, False))[0]
    data = pydicom.dcmread(file)
    data.compress(RLELossless, generate_instance_uid=False)
    content = bytearray(data.PixelData)
    for place, value in changes:
        content[20 + place % (len(content) - 20)] = value  # after the marks of the table of offsets and of the frame
    data.PixelData = bytes(content)
    data.save_as(file)
    with suppress(InputError):
        assert read_pixels([read_header(file, "P1")], "P1").shape == (1, *SHAPE[1:])


@pytest.mark.parametrize("allocated", [8, 16])
def test_lossy_jpeg_and_codes_narrower_than_declared_are_read(tmp_path, dicom, allocated):
    array = np.broadcast_to(np.linspace(20, 200, 16).astype(int), (3, 16, 16))
    files = save(
        dicom,
        tmp_path,
        array,
        allocated,
        8,
        syntax="1.2.840.10008.1.2.4.50",
        code=lambda stored, bits: imagecodecs.jpeg8_encode(np.ascontiguousarray(stored, np.uint8), level=98),
    )
    found = load(tmp_path).array
    np.testing.assert_allclose(found, array, atol=3)
    if allocated == 8:
        np.testing.assert_allclose(found, simpleitk(files), atol=1)  # decoders of lossy code round differently


def test_twelve_bit_jpeg_is_read(tmp_path, dicom):
    array = np.broadcast_to(np.linspace(100, 4000, 16).astype(int), (3, 16, 16))
    files = save(
        dicom,
        tmp_path,
        array,
        bits=12,
        syntax=JPEG_EXTENDED,
        code=lambda stored, bits: imagecodecs.jpeg8_encode(stored, level=98, bitspersample=12),
    )
    np.testing.assert_allclose(load(tmp_path).array, array, atol=16)
    np.testing.assert_allclose(load(tmp_path).array, simpleitk(files), atol=1)


def test_high_throughput_jpeg_2000_is_read(tmp_path, dicom):
    array = values(12, False)
    save(
        dicom, tmp_path, array, bits=12, syntax=HT_JPEG_2000, code=lambda stored, bits: imagecodecs.htj2k_encode(stored)
    )
    np.testing.assert_array_equal(load(tmp_path).array, array)


def test_a_frame_may_be_in_several_pieces(tmp_path, dicom):
    array = values(16, False)
    files = save(dicom, tmp_path, array)
    for file, plane in zip(files, array, strict=True):
        data = pydicom.dcmread(file)
        data.PixelData = encapsulate([imagecodecs.jpegls_encode(plane.astype(np.uint16))], fragments_per_frame=3)
        write(file, data, JPEG_LS)
    assert len(scan_series(tmp_path, "P1")[0][0].pixels.pieces) == 3
    np.testing.assert_array_equal(load(tmp_path).array, array)
    np.testing.assert_array_equal(simpleitk(files), array)


@pytest.mark.parametrize(
    "code",
    [b"no image at all.", lossless(np.zeros((9, 9), np.uint16), 16), lossless(np.zeros((12, 10), np.uint16), 16)[:60]],
    ids=("text", "another size", "truncated"),
)
@pytest.mark.parametrize("syntax", [*CODECS, RUN_LENGTHS, "1.2.840.10008.1.2.4.100"])
def test_invalid_codes_are_refused(tmp_path, dicom, refused, syntax, code):
    files = save(dicom, tmp_path, values(16, False))
    data = pydicom.dcmread(files[1])
    data.PixelData = encapsulate([code])
    data["PixelData"].VR = "OB"
    write(files[1], data, syntax)
    refused(lambda: load(tmp_path), "case P1", files[1].name, "cannot be decoded", "found")


@pytest.mark.parametrize(
    "tags, expected",
    [
        ({}, -2000),
        ({"PixelPaddingValue": 0}, -2000),
        ({"PixelPaddingValue": -2000}, 0),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1900}, 0),
        ({"PixelPaddingValue": -1900, "PixelPaddingRangeLimit": -2000}, 0),
        ({"PixelPaddingValue": -2000, "RescaleSlope": 0.5, "RescaleIntercept": -40}, -35),
        ({"PixelPaddingRangeLimit": -2000}, -2000),
    ],
)
def test_padding_becomes_air(tmp_path, dicom, tags, expected):
    """It becomes 0, or the smallest real value below 0; here 10 is the smallest of the body."""
    array = np.random.default_rng(0).integers(10, 900, SHAPE)
    array[0, 0, 0] = 10
    array[:2, 3:5] = -2000
    save(dicom, tmp_path, array, signed=True, each=lambda z: tags)
    slope, intercept = tags.get("RescaleSlope", 1), tags.get("RescaleIntercept", 0)
    wanted = np.where(array == -2000, expected, array * slope + intercept)
    np.testing.assert_array_equal(load(tmp_path).array, wanted)


def test_padding_of_zeros_changes_nothing(tmp_path, dicom):
    save(dicom, tmp_path, values(12, False), bits=12, PixelPaddingValue=0)
    np.testing.assert_array_equal(load(tmp_path).array, values(12, False))


@pytest.mark.parametrize("signed, slope, intercept", [(False, None, None), (True, None, None), (True, 0.25, -3)])
def test_dcm2niix_finds_the_same_values(tmp_path, dicom, signed, slope, intercept):
    tags = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": intercept}
    save(dicom, tmp_path / "dicom", values(12, signed), bits=12, signed=signed, **tags)
    subprocess.run(
        [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "pre", "-o", tmp_path, tmp_path / "dicom"],
        check=True,
        capture_output=True,
    )
    np.testing.assert_array_equal(load(tmp_path / "dicom").array, to_lps(read_volume(tmp_path / "pre.nii")).array)
