"""Frames are located in native and compressed pixels, and incomplete pixels are refused."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from pre2post.dicom.file import UNDEFINED, IncompleteFile, Source
from pre2post.dicom.frames import MARK, find_frames

BEGIN = 100  # bytes before the pixels


def source(pixels: bytes) -> Source:
    stream = BytesIO(bytes(BEGIN) + pixels)
    stream.seek(BEGIN)
    return Source(stream, BEGIN + len(pixels))


def content(found, pieces) -> bytes:
    return b"".join(found.stream.getvalue()[offset : offset + length] for offset, length in pieces)


@given(frames=st.integers(1, 5), size=st.integers(1, 9))
def test_native_frames_follow_each_other(frames, size):
    pixels = bytes(range(frames * size))
    padded = pixels + bytes(len(pixels) % 2)
    file = source(padded)
    found = find_frames(file, len(padded), frames, size)
    assert [content(file, pieces) for pieces in found] == [
        pixels[begin : begin + size] for begin in range(0, len(pixels), size)
    ]


@pytest.mark.parametrize(
    "stored, stated, words",
    [
        (b"", 0, "no pixels"),
        (bytes(11), 12, "11 bytes of pixels"),
        (bytes(12), 11, "11 bytes of pixels"),
        (bytes(14), 14, "14 bytes of pixels"),
    ],
    ids=("none", "truncated", "stated too short", "too long"),
)
def test_native_pixels_of_another_length_are_refused(stored, stated, words):
    with pytest.raises(IncompleteFile, match=words) as caught:
        find_frames(source(stored), stated, 3, 4)
    assert caught.value.expected == "12 bytes of pixels"


FRAMES = [b"first frame ", b"2nd ", b"the third one "]  # of even lengths, as in DICOM


def encapsulated(frames, **options) -> bytes:
    return encapsulate(frames, **options) + b"\xfe\xff\xdd\xe0\0\0\0\0"  # which pydicom adds when it writes a file


@pytest.mark.parametrize("fragments, table", [(1, True), (1, False), (2, True)])
def test_compressed_frames_are_found_by_their_number_or_by_the_table_of_offsets(fragments, table):
    file = source(encapsulated(FRAMES, fragments_per_frame=fragments, has_bot=table))
    found = find_frames(file, UNDEFINED, len(FRAMES), 1000)
    assert [len(pieces) for pieces in found] == [fragments] * 3
    assert [content(file, pieces).rstrip(b"\0") for pieces in found] == FRAMES


def test_all_fragments_belong_to_a_single_frame():
    file = source(encapsulated(FRAMES[:1], fragments_per_frame=3, has_bot=False))
    ((*pieces,),) = find_frames(file, UNDEFINED, 1, 1000)
    assert len(pieces) == 3 and content(file, pieces).rstrip(b"\0") == FRAMES[0]


def test_fragments_of_unknown_frames_are_refused():
    file = source(encapsulated(FRAMES, fragments_per_frame=2, has_bot=False))
    with pytest.raises(IncompleteFile, match="6 compressed pieces") as caught:
        find_frames(file, UNDEFINED, 3, 1000)
    assert caught.value.expected == "3 frames"


@pytest.mark.parametrize("lost", [*range(1, MARK + 1), 20, 60])
def test_compressed_pixels_without_their_end_are_refused(lost):
    whole = encapsulated(FRAMES)
    assert len(find_frames(source(whole), UNDEFINED, 3, 1000)) == 3
    with pytest.raises(IncompleteFile):
        find_frames(source(whole[:-lost]), UNDEFINED, 3, 1000)
