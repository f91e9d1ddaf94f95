"""Finds truncated and damaged NIfTI files: the reading library fills what is missing with zeros and reports success."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pre2post.core.errors import InputError

HEADER = 348  # bytes of a NIfTI-1 header, and its first field; dim lies at 40, bitpix at 72, vox_offset at 108
TRAILER = 8  # bytes at the end of a gzip file: CRC-32 and length of what is compressed (RFC 1952)
BLOCK = 1 << 20  # bytes read at a time
LATEST = 1 << 26  # where voxels may begin: extensions of the header have a few kilobytes


def check_length(path: Path, voxels: np.ndarray | None = None) -> None:
    """Refuses a NIfTI-1 file (.nii, .nii.gz) that ends before its voxels do, or whose compression is damaged.

    `voxels` are those that were read from it, unchanged in type and order. When their checksum is the one in a
    compressed file, it is whole; without them, or when it is not, the file is decompressed once more for the check.
    Other files pass. Raises InputError with the bytes found and expected.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        return
    try:
        expected, length = _lengths(path, voxels)
    except (EOFError, OverflowError, ValueError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise InputError("the file is truncated or damaged", file=path, found=error, hint="write it again") from None
    if length < expected:
        raise InputError(
            "the file is truncated",
            file=path,
            found=f"{length} bytes",
            expected=f"{expected} bytes",
            hint="write it again",
        )


def _lengths(path: Path, voxels: np.ndarray | None) -> tuple[int, int]:
    """Bytes that the header announces, and bytes that are there."""
    if path.suffix != ".gz":
        with open(path, "rb") as file:
            return _voxel_range(file.read(HEADER))[1], path.stat().st_size
    with gzip.open(path, "rb") as file:
        start = file.read(HEADER)
        offset, expected = _voxel_range(start)
        start += file.read(max(offset - HEADER, 0))
        if voxels is not None and _same_content(path, start, voxels):
            return expected, len(start) + voxels.nbytes
        return expected, len(start) + sum(map(len, _blocks(file)))


def _same_content(path: Path, start: bytes, voxels: np.ndarray) -> bool:
    """Whether a gzip file holds `start` and then the bytes of `voxels`, by its checksum and length."""
    with open(path, "rb") as file:
        file.seek(-TRAILER, 2)
        checksum, length = struct.unpack("<2I", file.read())
    if length != (len(start) + voxels.nbytes) % 2**32:
        return False
    return checksum == zlib.crc32(np.ascontiguousarray(voxels), zlib.crc32(start))


def _voxel_range(header: bytes) -> tuple[int, int]:
    """Where the voxels begin and end, in bytes, from a NIfTI-1 header in either byte order; 0, 0 for another header."""
    for order in "<>":
        if struct.unpack(order + "i", header[:4])[0] == HEADER:
            count, *shape = struct.unpack(order + "8h", header[40:56])
            (bits,) = struct.unpack(order + "h", header[72:74])
            (offset,) = struct.unpack(order + "f", header[108:112])
            if not 0 <= offset <= LATEST:  # NaN too
                raise ValueError(f"voxels that begin at byte {offset:g}")
            return int(offset), int(offset) + math.prod(shape[:count]) * bits // 8
    return 0, 0


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
