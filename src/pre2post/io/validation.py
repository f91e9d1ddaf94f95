"""Checks of volume files that the reading library omits.

SimpleITK fills the missing part of a truncated NIfTI file with zeros, reads NaN as 0, and reports success.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.volume import Volume

HEADER_BYTES = 348  # size of a NIfTI-1 header, and its first field; dim is at byte 40, bitpix at 72, vox_offset at 108
TRAILER_BYTES = 8  # at the end of a gzip file: CRC-32 and length of the uncompressed content (RFC 1952)
BLOCK_BYTES = 1 << 20  # read at a time
MAX_OFFSET = 1 << 26  # first byte of the voxels at most: header extensions take a few kilobytes


def check_length(path: Path, voxels: np.ndarray | None = None) -> None:
    """Check that a NIfTI-1 file (.nii, .nii.gz) holds all its voxels and that its compression is intact.

    `voxels` are those read from the file, unchanged in type and order: if their checksum equals the file's, the file
    is complete. Without them, or if it differs, decompress the file once more. Other kinds of file pass.
    Raises InputError with the bytes found and expected.
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


def check_finite(volume: Volume, path: Path) -> None:
    """Raise InputError if `volume`, or the NIfTI file it was read from, holds NaN or infinity."""
    arrays = [volume.array, _stored(path)] if path.name.endswith((".nii", ".nii.gz")) else [volume.array]
    bad = max(array.size - np.count_nonzero(np.isfinite(array)) for array in arrays)
    if bad:
        raise InputError(
            "the volume holds values that are not finite",
            file=path,
            found=f"{bad} of {volume.array.size} voxels are NaN, infinite or too large for float32",
            expected="numbers",
            hint="find their cause, or replace them by 0 if they are air",
        )


def _lengths(path: Path, voxels: np.ndarray | None) -> tuple[int, int]:
    """Return the uncompressed bytes that the header announces, and those that the file holds."""
    if path.suffix != ".gz":
        with open(path, "rb") as plain:
            return _voxel_range(plain.read(HEADER_BYTES))[1], path.stat().st_size
    with gzip.open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
        offset, expected = _voxel_range(start)
        start += file.read(max(offset - HEADER_BYTES, 0))
        if voxels is not None and _same_content(path, start, voxels):
            return expected, len(start) + voxels.nbytes
        return expected, len(start) + sum(map(len, _blocks(file)))


def _same_content(path: Path, start: bytes, voxels: np.ndarray) -> bool:
    """Return whether a gzip file holds `start` and then the bytes of `voxels`, by its checksum and length."""
    with open(path, "rb") as file:
        file.seek(-TRAILER_BYTES, 2)
        checksum, length = struct.unpack("<2I", file.read())
    if length != (len(start) + voxels.nbytes) % 2**32:
        return False
    return checksum == zlib.crc32(np.ascontiguousarray(voxels).data, zlib.crc32(start))


def _voxel_range(header: bytes) -> tuple[int, int]:
    """Return the first byte of the voxels and the byte after the last, from a NIfTI-1 header of either byte order.

    Return 0, 0 for another header.
    """
    for order in "<>":
        if struct.unpack(order + "i", header[:4])[0] == HEADER_BYTES:
            count, *shape = struct.unpack(order + "8h", header[40:56])
            (bits,) = struct.unpack(order + "h", header[72:74])
            (offset,) = struct.unpack(order + "f", header[108:112])
            if not 0 <= offset <= MAX_OFFSET:  # also refuses NaN
                raise ValueError(f"voxels that begin at byte {offset:g}")
            return int(offset), int(offset) + math.prod(shape[:count]) * bits // 8
    return 0, 0


def _blocks(file: gzip.GzipFile) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _stored(path: Path) -> np.ndarray:
    """Return the stored numbers of a NIfTI file, read by nibabel, which keeps NaN."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        return nibabel.load(path).dataobj.get_unscaled()  # type: ignore[attr-defined]  # an ArrayProxy, of any NIfTI
    except (ImageFileError, HeaderDataError, OSError, OverflowError, ValueError) as error:
        raise InputError(
            "the volume cannot be read",
            file=path,
            found=" ".join(str(error).split()),
            expected="a NIfTI file",
            hint="write it again",
        ) from None
