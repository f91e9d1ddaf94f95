"""Where the pixels of each frame lie in a DICOM file, and that all of them are there (PS3.5 chapter 8, annex A.4)."""

import struct
from bisect import bisect_right
from dataclasses import dataclass

from imaging.dicom_elements import EXPLICIT_LITTLE, ITEM, SEQUENCE_END, UNDEFINED, NotWhole, Source, read_start

PIXEL_DATA = 0x7FE00010

Piece = tuple[int, int]  # offset in the file (in its inflated content), length in bytes


@dataclass(frozen=True)
class Pixels:
    """How the stored pixels of one slice are found and become scanner units: value * slope + intercept.

    Stored values from padding[0] to padding[1] are no signal but fill the frame outside of it.
    """

    pieces: tuple[Piece, ...] = ()
    syntax: str = EXPLICIT_LITTLE
    allocated: int = 16  # bits a pixel in the file
    bits: int = 16  # of these, the lowest, that count
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    padding: tuple[int, int] | None = None


def find_frames(source: Source, frames: int, frame_bytes: int) -> list[tuple[Piece, ...]]:
    """The pieces of each frame; the stream stands at the pixel data. Nothing of them is read.

    Raises NotWhole when the file holds less or more of them than the header says.
    """
    expected = f"{frames * frame_bytes} bytes of pixels"
    tag, _, length = read_start(source)
    if tag != PIXEL_DATA:
        raise NotWhole("no pixels", expected)
    if length == UNDEFINED:
        return _compressed_frames(source, frames)
    begin, needed = source.stream.tell(), frames * frame_bytes
    present = min(length, source.size - begin)
    if present < needed or length > needed + needed % 2:  # an odd length is padded by one byte
        raise NotWhole(f"{present} bytes of pixels", expected)
    return [((begin + frame * frame_bytes, frame_bytes),) for frame in range(frames)]


def _compressed_frames(source: Source, frames: int) -> list[tuple[Piece, ...]]:
    (start, size), *fragments = _fragments(source)
    if frames == 1 and fragments:
        return [tuple(fragments)]
    if frames == len(fragments):
        return [(fragment,) for fragment in fragments]
    source.stream.seek(start)
    table = struct.unpack(f"<{size // 4}I", source.stream.read(size // 4 * 4))
    if len(table) != frames or not fragments:
        raise NotWhole(f"{len(fragments)} compressed pieces, {len(table)} of them marked as the first of a frame",
                       f"{frames} frames")
    return _grouped(fragments, [offset + fragments[0][0] for offset in table])


def _fragments(source: Source) -> list[Piece]:
    """Every item of compressed pixel data, the table of offsets first."""
    stream, items = source.stream, []
    while True:
        tag, _, size = read_start(source)
        if tag == SEQUENCE_END and items:
            return items
        if tag != ITEM or size > source.size - stream.tell():
            raise NotWhole(f"no end of the compressed pixels after {max(len(items) - 1, 0)} pieces", "all of them")
        items.append((stream.tell(), size))
        stream.seek(items[-1][0] + size)


def _grouped(fragments: list[Piece], firsts: list[int]) -> list[tuple[Piece, ...]]:
    """Fragments by frame, each frame beginning at one of the offsets `firsts`."""
    groups: list[list[Piece]] = [[] for _ in firsts]
    for piece in fragments:
        groups[bisect_right(firsts, piece[0]) - 1].append(piece)
    if not all(groups):
        raise NotWhole("a table of offsets that points at no piece", f"{len(firsts)} frames")
    return [tuple(group) for group in groups]
