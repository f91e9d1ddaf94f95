"""DICOM files up to their pixels: the wanted elements, read by pydicom, with their values as bytes.

Errors of pydicom on damaged files become ValueErrors. dicom.attributes interprets the values, and rejects those
that pydicom would repair.
"""

import os
import stat
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pydicom import Dataset

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

META_GROUP, TRANSFER_SYNTAX, PIXEL_DATA = 0x0002, 0x00020010, 0x7FE00010
UNDEFINED = 0xFFFFFFFF  # length of an element that ends with a delimiter
BUFFER = 1 << 14  # bytes: holds most headers
MAX_INFLATED = 1 << 30  # bytes: more than any examination, less than a few malicious kilobytes can become


class NotDicom(ValueError):
    """A file without the DICOM prefix."""


class IncompleteFile(ValueError):
    """A file that holds less or other data than its header states; `expected` describes these."""

    def __init__(self, found: str, expected: str):
        super().__init__(found)
        self.expected = expected


@dataclass(frozen=True)
class Source:
    """A file open at its first element after the file meta information; the stream ends at `size`."""

    stream: BinaryIO
    size: int
    syntax: str = EXPLICIT_LITTLE


@contextmanager
def pydicom_errors() -> Iterator[None]:
    """Turn errors of pydicom on damaged bytes, of any kind, into ValueErrors; errors of the disk remain OSErrors."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(str(error) or type(error).__name__) from None


@contextmanager
def open_dicom(file: Path) -> Iterator[Source]:
    """Open a regular file, inflate it if it is deflated, and hide pydicom's warnings until it is closed.

    Raises NotDicom, OSError, or ValueError if it is damaged.
    """
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block forever
        raise NotDicom("not a regular file")
    with open(file, "rb", buffering=BUFFER) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        syntax = _read_syntax(Source(stream, status.st_size))
        if syntax == DEFLATED:
            content = _inflate(stream.read())
            yield Source(BytesIO(content), len(content), syntax)
        else:
            yield Source(stream, status.st_size, syntax)


@pydicom_errors()
def read_elements(source: Source, wanted: Collection[int]) -> tuple["Dataset", int]:
    """Read the wanted elements before the pixels, and the length of the pixels in bytes; stop at the pixels.

    The length is 0 without pixels, UNDEFINED for compressed ones. An element that would extend beyond the file has the
    value None. Raises ValueError if the structure is broken.
    """
    from pydicom.charset import default_encoding
    from pydicom.filereader import data_element_offset_to_value, read_dataset

    pixels: tuple[str | None, int] | None = None

    def at_pixels(tag: int, representation: str | None, length: int) -> bool:
        nonlocal pixels
        if tag == PIXEL_DATA:
            pixels = (representation, length)
        return tag == PIXEL_DATA

    data = read_dataset(
        source.stream,
        source.syntax == IMPLICIT_LITTLE,
        source.syntax != EXPLICIT_BIG,
        None,
        at_pixels,
        source.size,
        [default_encoding],
        wanted,  # type: ignore[arg-type]  # only tested by `in`
    )
    if source.syntax == IMPLICIT_LITTLE and not data.original_encoding[0]:
        raise ValueError("its elements have explicit value representations, its transfer syntax implicit ones")
    if pixels is None:
        return data, 0
    representation, length = pixels
    source.stream.seek(data_element_offset_to_value(representation is None, representation), os.SEEK_CUR)
    return data, length


@pydicom_errors()
def _read_syntax(source: Source) -> str:
    """Read the transfer syntax of a file open at its begin; stop after the file meta information."""
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_dataset, read_preamble

    try:
        read_preamble(source.stream, force=False)
    except InvalidDicomError:
        raise NotDicom(f"{source.size} other bytes") from None
    meta = read_dataset(
        source.stream,
        False,
        True,
        None,
        lambda tag, *_: tag >> 16 != META_GROUP,
        defer_size=source.size,
        specific_tags=[TRANSFER_SYNTAX],
    )
    syntax = meta.get_item(TRANSFER_SYNTAX, keep_deferred=True)
    value = syntax.value if syntax else None
    return (value or b"").rstrip(b"\0 ").decode("ascii", "replace") or EXPLICIT_LITTLE


def _inflate(content: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(content, MAX_INFLATED)
    except zlib.error as error:
        raise ValueError(f"the deflated part is damaged: {error}") from None
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {MAX_INFLATED} bytes")
    return inflated
