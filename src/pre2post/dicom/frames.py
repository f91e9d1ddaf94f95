"""Where the pixels of each frame lie in a DICOM file, and that all of them are there (PS3.5 chapter 8, annex A.4)."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from pre2post.dicom.file import EXPLICIT_LITTLE, UNDEFINED, NotWhole, Source, careful

MARK = 8  # bytes: tag and length of an item, or of the end of all

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


def find_frames(source: Source, length: int, frames: int, frame_bytes: int) -> list[tuple[Piece, ...]]:
    """The pieces of each frame; the stream stands at the pixels, `length` as read_elements tells it. None is read.

    Raises NotWhole when the file holds less or more of them than the header says.
    """
    expected = f"{frames * frame_bytes} bytes of pixels"
    if not length:
        raise NotWhole("no pixels", expected)
    if length == UNDEFINED:
        return _compressed_frames(source, frames)
    begin, needed = source.stream.tell(), frames * frame_bytes
    present = min(length, source.size - begin)
    if present < needed or length > needed + needed % 2:  # an odd length is padded by one byte
        raise NotWhole(f"{present} bytes of pixels", expected)
    return [((begin + frame * frame_bytes, frame_bytes),) for frame in range(frames)]


def _compressed_frames(source: Source, frames: int) -> list[tuple[Piece, ...]]:
    try:
        table, fragments = _fragments(source)
    except ValueError as error:
        raise NotWhole(error, f"the compressed pixels of {frames} frames") from None
    if frames == 1:
        return [tuple(fragments)]
    if frames == len(fragments):
        return [(fragment,) for fragment in fragments]
    if len(table) != frames:
        raise NotWhole(
            f"{len(fragments)} compressed pieces, {len(table)} of them marked as the first of a frame",
            f"{frames} frames",
        )
    return _grouped(fragments, [offset + fragments[0][0] for offset in table])


@careful()
def _fragments(source: Source) -> tuple[list[int], list[Piece]]:
    """The table of offsets, and every piece of the compressed pixels, at least one."""
    from pydicom.encaps import parse_basic_offsets, parse_fragments

    stream = source.stream
    table = parse_basic_offsets(stream)
    _, starts = parse_fragments(stream)
    if not starts:
        raise ValueError("no compressed pieces")
    stream.seek(starts[-1] + MARK - 4)
    end = starts[-1] + MARK + int.from_bytes(stream.read(4), "little")
    if end + MARK > source.size:
        raise ValueError(f"no end of the compressed pixels after {len(starts)} pieces")
    return table, [(start + MARK, after - start - MARK) for start, after in pairwise([*starts, end])]


def _grouped(fragments: list[Piece], firsts: list[int]) -> list[tuple[Piece, ...]]:
    """Fragments by frame, each frame beginning at one of the offsets `firsts`."""
    groups: list[list[Piece]] = [[] for _ in firsts]
    for piece in fragments:
        groups[bisect_right(firsts, piece[0]) - 1].append(piece)
    if not all(groups):
        raise NotWhole("a table of offsets that points at no piece", f"{len(firsts)} frames")
    return [tuple(group) for group in groups]
