"""Finds truncated NIfTI files: the reading library fills what is missing with zeros and reports success."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import InputError

HEADER = 348  # bytes of a NIfTI-1 header, and its first field; dim lies at 40, bitpix at 72, vox_offset at 108
BLOCK = 1 << 20  # bytes read at a time


def check_length(path: Path) -> None:
    """Refuses a NIfTI-1 file (.nii, .nii.gz) that ends before its voxels do, or whose compression is damaged.

    Other files pass. Raises InputError with the bytes found and expected.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        return
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            header = file.read(HEADER)
            length = len(header) + sum(map(len, _blocks(file)))
        expected = _expected_length(header)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise InputError("the file is truncated or damaged", file=path, found=error, todo="write it again") from None
    if length < expected:
        raise InputError("the file is truncated", file=path, found=f"{length} bytes", expected=f"{expected} bytes",
                         todo="write it again")


def _expected_length(header: bytes) -> int:
    """Bytes up to the last voxel, from a NIfTI-1 header in either byte order; 0 for any other header."""
    for order in "<>":
        if struct.unpack(order + "i", header[:4])[0] == HEADER:
            count, *shape = struct.unpack(order + "8h", header[40:56])
            bits, = struct.unpack(order + "h", header[72:74])
            offset, = struct.unpack(order + "f", header[108:112])
            return int(offset) + math.prod(shape[:count]) * bits // 8
    return 0


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
