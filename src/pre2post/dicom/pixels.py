"""Pixels of DICOM slices: read, decoded, and converted to scanner units.

Uncompressed pixels are read directly into the volume. Compressed frames are decoded one by one by imagecodecs, which
returns the stored numbers and is independent of DICOM.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pre2post.core.errors import InputError
from pre2post.dicom.file import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, open_dicom
from pre2post.dicom.frames import Pixels
from pre2post.dicom.header import SliceHeader
from pre2post.image.itk import last_line

NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG)
CODECS = {  # transfer syntaxes (PS3.6 annex A) and the codec of imagecodecs
    "1.2.840.10008.1.2.4.50": "jpeg8",
    "1.2.840.10008.1.2.4.51": "jpeg8",
    "1.2.840.10008.1.2.4.57": "jpeg8",
    "1.2.840.10008.1.2.4.70": "jpeg8",
    "1.2.840.10008.1.2.4.80": "jpegls",
    "1.2.840.10008.1.2.4.81": "jpegls",
    "1.2.840.10008.1.2.4.90": "jpeg2k",
    "1.2.840.10008.1.2.4.91": "jpeg2k",
    "1.2.840.10008.1.2.4.201": "jpeg2k",
    "1.2.840.10008.1.2.4.202": "jpeg2k",
    "1.2.840.10008.1.2.4.203": "jpeg2k",
}
RUN_LENGTHS = "1.2.840.10008.1.2.5"
RUN_LENGTH_HEADER = struct.Struct("<16I")  # the number of segments and the begin of each (PS3.5 annex G)


def read_pixels(slices: Sequence[SliceHeader], case: str) -> np.ndarray:
    """Read pixels (slice, row, column) in scanner units.

    The type is int16 or uint16 as stored if every slice has 16 bits per pixel and no rescaling; else float32. Padding,
    which is not signal, becomes 0 like air, or the smallest real value if that is below 0.

    Raises InputError naming the file whose pixels cannot be decoded.
    """
    columns, rows = slices[0].size
    volume = np.empty((len(slices), rows, columns), _common_type([header.pixels for header in slices]))
    padded: dict[int, np.ndarray] = {}
    for (file, syntax), group in groupby(enumerate(slices), lambda pair: (pair[1].file, pair[1].pixels.syntax)):
        with _input_errors(file, case), _open(file, syntax) as stream:
            for place, header in group:
                mask = _read_slice(stream, header.pixels, volume[place])
                if mask is not None:
                    padded[place] = mask
    if padded:
        air = min(
            plane.min(where=~padded[place] if place in padded else True, initial=0)
            for place, plane in enumerate(volume)
        )
        for place, mask in padded.items():
            volume[place][mask] = air
    return volume


def _common_type(layouts: Sequence[Pixels]) -> np.dtype:
    plain = all(one.allocated == 16 and (one.slope, one.intercept) == (1, 0) for one in layouts)
    if not plain or len({one.signed for one in layouts}) > 1:
        return np.dtype(np.float32)
    return np.dtype(np.int16 if layouts[0].signed else np.uint16)


def _read_slice(stream: BinaryIO, pixels: Pixels, plane: np.ndarray) -> np.ndarray | None:
    """Fill `plane` with real values; return the mask of padding, None without padding or if that is 0 already."""
    stored_type = np.dtype(
        f"{'>' if pixels.syntax == EXPLICIT_BIG else '<'}{'i' if pixels.signed else 'u'}{pixels.allocated // 8}"
    )
    stored = plane if plane.dtype == stored_type else np.empty(plane.shape, stored_type)
    if pixels.syntax in NATIVE:
        _read_into(stream, pixels, stored)
    else:
        _decode(stream, pixels, stored)
    _drop_spare_bits(stored, pixels)
    if stored is not plane:
        plane[...] = stored * pixels.slope + pixels.intercept
    if pixels.padding is None or (pixels.padding == (0, 0) and pixels.intercept == 0 and not pixels.signed):
        return None
    mask = (stored >= pixels.padding[0]) & (stored <= pixels.padding[1])
    return mask if mask.any() else None


def _read_into(stream: BinaryIO, pixels: Pixels, stored: np.ndarray) -> None:
    if pixels.syntax == EXPLICIT_BIG and pixels.allocated == 8:
        raise ValueError("8 bits per pixel in big endian order, where pairs may be swapped")
    ((offset, length),) = pixels.pieces
    stream.seek(offset)
    count = stream.readinto(stored.view(np.uint8).data)  # type: ignore[attr-defined]  # files and BytesIO have it
    if count != length:
        raise ValueError(f"{count} of {length} bytes: the file has changed")


def _decode(stream: BinaryIO, pixels: Pixels, stored: np.ndarray) -> None:
    """Decode one compressed frame into an existing array, so that a wrong size in the code takes no memory."""
    import imagecodecs

    code = b"".join(_read_piece(stream, *piece) for piece in pixels.pieces)
    if pixels.syntax == RUN_LENGTHS:
        _decode_run_lengths(code, stored)
        return
    if pixels.syntax not in CODECS:
        raise ValueError(f"the transfer syntax {pixels.syntax}")
    decode = getattr(imagecodecs, f"{CODECS[pixels.syntax]}_decode")
    try:
        decode(code, out=stored)
    except ValueError:  # the code may hold 8 bits per pixel although 16 are declared
        narrow = np.empty(stored.shape, np.uint8)
        decode(code, out=narrow)
        stored[...] = narrow


def _decode_run_lengths(code: bytes, stored: np.ndarray) -> None:
    """Decode one segment per byte of a pixel, the highest byte first.

    The frame decoder of imagecodecs trusts the header, and a damaged header ends the process.
    """
    from imagecodecs import packbits_decode

    if len(code) < RUN_LENGTH_HEADER.size:
        raise ValueError(f"{len(code)} bytes, fewer than the header of run lengths has")
    count, *begins = RUN_LENGTH_HEADER.unpack(code[: RUN_LENGTH_HEADER.size])
    planes = stored.view(np.uint8).reshape(-1, stored.itemsize).T[::-1]
    if count != len(planes):
        raise ValueError(f"{count} segments of run lengths for {len(planes)} bytes per pixel")
    for plane, begin, end in zip(planes, begins, [*begins[1:count], len(code)], strict=False):
        values = np.frombuffer(packbits_decode(code[begin:end]), np.uint8)
        if values.size < plane.size:
            raise ValueError(f"run lengths of {values.size} instead of {plane.size} pixels")
        plane[...] = values[: plane.size]


def _read_piece(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return stream.read(length)


def _drop_spare_bits(stored: np.ndarray, pixels: Pixels) -> None:
    """Clear the bits above those that hold the value; old files store overlays there."""
    spare = pixels.allocated - pixels.bits
    if spare and pixels.signed:
        stored <<= spare  # and back, which extends the sign
        stored >>= spare
    elif spare:
        stored &= (1 << pixels.bits) - 1


@contextmanager
def _open(file: Path, syntax: str) -> Iterator[BinaryIO]:
    if syntax != DEFLATED:
        with open(file, "rb") as stream:
            yield stream
        return
    with open_dicom(file) as source:
        yield source.stream


@contextmanager
def _input_errors(file: Path, case: str) -> Iterator[None]:
    """Turn errors of reading and decoding into InputErrors that name the file; codecs raise RuntimeErrors."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "the file cannot be opened",
            case=case,
            file=file,
            found=error.strerror,
            hint="download the file again, or check its permissions",
        ) from None
    except (RuntimeError, ValueError, MemoryError) as error:
        raise InputError(
            "the pixels cannot be decoded",
            case=case,
            file=file,
            found=last_line(error),
            expected="complete pixels in a known transfer syntax",
            hint="download the file again",
        ) from None
