"""DICOM files up to their pixels, as pydicom reads them: the few elements that are wanted, with their values as bytes.

What pydicom raises on damaged files becomes a ValueError. What a value may be is for dicom_attributes to say, which
refuses where pydicom would mend.
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
UNDEFINED = 0xFFFFFFFF  # a length that is told by a mark at the end
BUFFER = 1 << 14  # bytes: holds most headers at once
INFLATED = 1 << 30  # bytes: more than any examination, less than what a few made kilobytes can become


class NotDicom(ValueError):
    """The file has no DICOM mark."""


class NotWhole(ValueError):
    """The file holds less, or other data, than it says; `expected` is what, in words."""

    def __init__(self, found: str, expected: str):
        super().__init__(found)
        self.expected = expected


@dataclass(frozen=True)
class Source:
    """A file open at its first element after the file meta information; `size` is where the stream ends."""

    stream: BinaryIO
    size: int
    syntax: str = EXPLICIT_LITTLE


@contextmanager
def careful() -> Iterator[None]:
    """For calls of pydicom: what it raises on damaged bytes, which may be anything, becomes a ValueError.

    Errors of the disk remain OSErrors.
    """
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
    """Opens a regular file; a deflated one is inflated. Until it is closed again, pydicom's warnings are not shown.

    Raises NotDicom, OSError, or ValueError when it is damaged.
    """
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise NotDicom("no regular file")
    with open(file, "rb", buffering=BUFFER) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        syntax = _read_syntax(Source(stream, status.st_size))
        if syntax == DEFLATED:
            content = _inflate(stream.read())
            yield Source(BytesIO(content), len(content), syntax)
        else:
            yield Source(stream, status.st_size, syntax)


@careful()
def read_elements(source: Source, wanted: Collection[int]) -> tuple["Dataset", int]:
    """The wanted elements before the pixels, and the length in bytes of the pixels, at which the stream then stands.

    That is 0 where there are none, UNDEFINED where they are compressed. An element that says to be longer than the
    file has the value None. Raises ValueError when the structure is broken.
    """
    from pydicom.charset import default_encoding
    from pydicom.filereader import data_element_offset_to_value, read_dataset

    pixels = None

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
        wanted,
    )
    if source.syntax == IMPLICIT_LITTLE and not data.original_encoding[0]:
        raise ValueError("its elements name their value representations, which its transfer syntax does not")
    if pixels is None:
        return data, 0
    representation, length = pixels
    source.stream.seek(data_element_offset_to_value(representation is None, representation), os.SEEK_CUR)
    return data, length


@careful()
def _read_syntax(source: Source) -> str:
    """The transfer syntax of a file that is open at its begin; the stream then stands after the meta information."""
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
        inflated = inflater.decompress(content, INFLATED)
    except zlib.error as error:
        raise ValueError(f"the deflated part is damaged: {error}") from None
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {INFLATED} bytes")
    return inflated
