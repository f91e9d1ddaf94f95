"""Locations of the pixels of each frame in a DICOM file, checked for completeness (PS3.5 chapter 8, annex A.4)."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from pre2post.dicom.file import EXPLICIT_LITTLE, UNDEFINED, IncompleteFile, Source, pydicom_errors

MARK = 8  # bytes: tag and length of an item or of the final delimiter

Piece = tuple[int, int]  # offset in the file (in its inflated content) and length, in bytes


@dataclass(frozen=True)
class Pixels:
    """The location and format of the stored pixels of one slice; scanner units are value * slope + intercept.

    Stored values from padding[0] to padding[1] are not signal: they fill the frame outside the field of view.
    """

    pieces: tuple[Piece, ...] = ()
    syntax: str = EXPLICIT_LITTLE
    allocated: int = 16  # bits per pixel in the file
    bits: int = 16  # number of these that hold the value, the lowest ones
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    padding: tuple[int, int] | None = None


def find_frames(source: Source, length: int, frames: int, frame_bytes: int) -> list[tuple[Piece, ...]]:
    """Return the pieces of each frame, without reading pixels.

    Args:
        source: a file, open at its pixels.
        length: of the pixels, as read_elements returns it.
        frames: number of frames.
        frame_bytes: size of an uncompressed frame.

    Raises IncompleteFile if the file holds fewer or more pixels than its header states.
    """
    expected = f"{frames * frame_bytes} bytes of pixels"
    if not length:
        raise IncompleteFile("no pixels", expected)
    if length == UNDEFINED:
        return _compressed_frames(source, frames)
    begin, needed = source.stream.tell(), frames * frame_bytes
    present = min(length, source.size - begin)
    if present < needed or length > needed + needed % 2:  # an odd length has one byte of padding
        raise IncompleteFile(f"{present} bytes of pixels", expected)
    return [((begin + frame * frame_bytes, frame_bytes),) for frame in range(frames)]


def _compressed_frames(source: Source, frames: int) -> list[tuple[Piece, ...]]:
    try:
        table, fragments = _fragments(source)
    except ValueError as error:
        raise IncompleteFile(str(error), f"the compressed pixels of {frames} frames") from None
    if frames == 1:
        return [tuple(fragments)]
    if frames == len(fragments):
        return [(fragment,) for fragment in fragments]
    if len(table) != frames:
        raise IncompleteFile(
            f"{len(fragments)} compressed pieces, {len(table)} of them marked as the first of a frame",
            f"{frames} frames",
        )
    return _grouped(fragments, [offset + fragments[0][0] for offset in table])


@pydicom_errors()
def _fragments(source: Source) -> tuple[list[int], list[Piece]]:
    """Return the table of offsets and all pieces of the compressed pixels, at least one."""
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
    """Group fragments by frame; each frame begins at one of the offsets `firsts`."""
    groups: list[list[Piece]] = [[] for _ in firsts]
    for piece in fragments:
        groups[bisect_right(firsts, piece[0]) - 1].append(piece)
    if not all(groups):
        raise IncompleteFile("a table of offsets that points to no piece", f"{len(firsts)} frames")
    return [tuple(group) for group in groups]
