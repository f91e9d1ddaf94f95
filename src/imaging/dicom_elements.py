"""The elements of a DICOM file up to its pixels (PS3.5 chapter 7): the few that are wanted, all others are skipped.

A series has hundreds of files with hundreds of elements each, of which some thirty matter; a general reader spends
more time on the others than it takes to read the pixels.
"""

import os
import stat
import struct
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

PREAMBLE, MAGIC = 128, b"DICM"
LAST_OF_META, TRANSFER_SYNTAX = 0x0002FFFF, 0x00020010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MARKS = 0xFFFE  # the group of these, which have no value representation
LAST_ELEMENT = 0xFFFDFFFF
UNDEFINED = 0xFFFFFFFF  # a length that is told by a mark at the end
SHORT_FORMS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())  # PS3.5 7.1.2
DEPTH = 32  # of sequences in sequences: real headers stay below 8, a made one must not exhaust the stack
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
class Encoding:
    """How elements are written. `order` is "<" for little endian, ">" for big endian."""

    syntax: str
    order: str
    implicit: bool


@dataclass(frozen=True)
class Source:
    """A file open at its first element after the file meta information; `size` is where the stream ends."""

    stream: BinaryIO
    size: int
    encoding: Encoding


@contextmanager
def open_dicom(file: Path) -> Iterator[Source]:
    """Opens a regular file; a deflated one is inflated. Raises NotDicom, OSError, or ValueError when it is damaged."""
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise NotDicom("no regular file")
    with open(file, "rb", buffering=BUFFER) as stream:
        if stream.read(PREAMBLE + len(MAGIC))[PREAMBLE:] != MAGIC:
            raise NotDicom(f"{status.st_size} other bytes")
        meta = read_elements(Source(stream, status.st_size, Encoding("", "<", False)), {TRANSFER_SYNTAX}, (),
                             LAST_OF_META)
        syntax = meta.get(TRANSFER_SYNTAX, b"").rstrip(b"\0 ").decode("ascii", "replace") or EXPLICIT_LITTLE
        encoding = Encoding(syntax, ">" if syntax == EXPLICIT_BIG else "<", syntax == IMPLICIT_LITTLE)
        if syntax == DEFLATED:
            content = _inflate(stream.read())
            yield Source(BytesIO(content), len(content), encoding)
        else:
            yield Source(stream, status.st_size, encoding)


def read_elements(source: Source, wanted: Collection[int], sequences: Collection[int], last: int) -> dict:
    """Values (bytes) of the wanted elements up to the tag `last`, by tag; the stream then stands after it.

    Wanted elements that are `sequences` give a list of such dictionaries, one an item. Raises NotWhole when the file
    ends inside a wanted element, ValueError when its structure is broken.
    """
    return _walk(source, wanted, sequences, source.size, last, 0)


def name_of(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read_start(source: Source) -> tuple[int, bytes, int]:
    """Tag, value representation and length of the element at which the stream stands; tag 0 at the end of the file."""
    stream, order = source.stream, source.encoding.order
    start = stream.read(8)
    if len(start) < 8:
        return 0, b"", 0
    group, element, representation, length = struct.unpack(order + "HH2sH", start)
    named = representation.isalpha() and representation.isupper() and group != MARKS
    if source.encoding.implicit or not named:
        representation, length = b"", struct.unpack(order + "I", start[4:])[0]
    elif representation not in SHORT_FORMS:
        word = stream.read(4)
        length = struct.unpack(order + "I", word)[0] if len(word) == 4 else 0
    return group << 16 | element, representation, length


def _walk(source: Source, wanted: Collection[int], sequences: Collection[int], end: int, last: int, depth: int) -> dict:
    stream, found = source.stream, {}
    while (position := stream.tell()) < end:
        tag, representation, length = read_start(source)
        if tag > last or tag == 0:
            stream.seek(position)
            break
        if tag in sequences and tag in wanted:
            found[tag] = _items(_inside(source, representation), wanted, sequences, length, end, depth + 1)
        elif length == UNDEFINED:
            _items(_inside(source, representation), (), (), length, end, depth + 1)
        elif tag in wanted:
            if length > end - stream.tell():
                raise NotWhole(f"its end inside the element {name_of(tag)}", f"{length} bytes there")
            found[tag] = stream.read(length)
        else:
            stream.seek(length, os.SEEK_CUR)
    return found


def _items(source: Source, wanted: Collection[int], sequences: Collection[int], length: int, end: int,
           depth: int) -> list[dict]:
    if depth > DEPTH:
        raise ValueError(f"sequences lie more than {DEPTH} deep in each other")
    stream, items = source.stream, []
    end = end if length == UNDEFINED else min(end, stream.tell() + length)
    while stream.tell() < end:
        tag, _, size = read_start(source)
        if tag == SEQUENCE_END:
            break
        if tag != ITEM:
            raise ValueError("a sequence holds something else than items")
        stop = end if size == UNDEFINED else stream.tell() + size
        if wanted or size == UNDEFINED:
            items.append(_walk(source, wanted, sequences, min(stop, end), LAST_ELEMENT, depth))
        if size == UNDEFINED:
            read_start(source)  # the mark of the item's end
        else:
            stream.seek(stop)
    return items


def _inside(source: Source, representation: bytes) -> Source:
    """Sequences of unknown representation hold implicit little endian elements, whatever is around (PS3.5 6.2.2)."""
    if representation != b"UN":
        return source
    return Source(source.stream, source.size, Encoding(source.encoding.syntax, "<", True))


def _inflate(content: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(content, INFLATED)
    except zlib.error as error:
        raise ValueError(f"the deflated part is damaged: {error}") from None
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {INFLATED} bytes")
    return inflated
