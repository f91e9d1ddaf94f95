"""Which series of an examination are the phases of its dynamic study: named by what they are, never by a counter.

The dynamic, fat-suppressed T1 series are put in order of their acquisition; the first is "pre", the others "post1" and
so on. Their names differ between scanners and years, and some are wrong, so names only choose and check.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series

DYNAMIC = re.compile(r"dyn|dce|multi ?-?phase|vibrant|\b3d pre\b|\d(st|nd|rd|th) pas|\bph ?\d", re.I)
UNSUPPRESSED = re.compile(r"\bnon?[- _]?(fat|fs)|without fat|w/?o fs", re.I)
DERIVED = re.compile(r"\bsub(traction)?s?\b|\bmip\b|\bmpr\b", re.I)
PROJECTED = {"SUBTRACT", "SUBTRACTION", "PROJECTION IMAGE", "MIP", "MPR"}  # values of ImageType
PRE = re.compile(r"(?<![a-z])pre(?![a-z])", re.I)
PASS = re.compile(r"\b(\d) ?(?:st|nd|rd|th)(?![a-z])", re.I)  # "1st pass", "1st pas" as some were typed, "1st ax dyn"
PHASE = re.compile(r"\bph ?(\d)", re.I)
SUPPRESSED = re.compile(r"\bfs\b|fat ?_?sat|spair|spir|dixon|ideal|vibrant|water", re.I)
NO_PHASE = ""  # what a table says of a series that is none

SameImage = Callable[[Series, Series], bool]


def why_not_dynamic(header: SliceHeader) -> str | None:
    """Why the series of this slice is no phase of the dynamic study; None when it is one."""
    if DERIVED.search(header.description) or PROJECTED.intersection(header.image_type):
        return "derived from other series"
    if "SE" in header.scanning_sequence and "GR" not in header.scanning_sequence:
        return "a spin echo sequence"
    if UNSUPPRESSED.search(header.description):
        return "not fat-suppressed"
    return None if DYNAMIC.search(header.description) else "not a dynamic series"


def is_suppressed(header: SliceHeader) -> bool:
    """Whether a tag of the slice or its name speaks of fat suppression."""
    tags = (header.description, header.sequence_name, header.protocol, *header.scan_options)
    return any(SUPPRESSED.search(text) for text in tags)


def drop_unsuppressed(series: Sequence[Series]) -> tuple[list[Series], list[str]]:
    """Without the series that lack a sign of fat suppression where others of the examination have one, and why.

    Where no series has one, their scanner does not write it: all are kept.
    """
    signs = [is_suppressed(one.head) for one in series]
    if not any(signs):
        return list(series), []
    kept = [one for one, sign in zip(series, signs, strict=True) if sign]
    return kept, [
        f"{name_of(one.head)}: not fat-suppressed, by ScanOptions and SequenceName"
        for one, sign in zip(series, signs, strict=True)
        if not sign
    ]


def name_of(header: SliceHeader) -> str:
    """A series in words: its description and number."""
    return f"{header.description} ({header.number})"


def name_phases(
    case: str, series: Iterable[Series], same_image: SameImage, roles: Mapping[str, str] | None = None
) -> tuple[dict[str, Series], list[str]]:
    """Roles ("pre", "post1", ...) of the dynamic series of one examination, and a line on each one left out.

    `same_image` tells whether two series hold the same pixels, a second export of one acquisition; it is asked only of
    series with one name or one time. `roles` are those that a table states, by SeriesInstanceUID or "#" and
    SeriesNumber: they count more than names, and more than times where all series have one. Raises InputError when pre
    or post1 is missing or a name contradicts the order.
    """
    series = list(series)
    places = {id(one): _place(one, roles or {}) for one in series}
    known = all(places[id(one)][1] for one in series)
    kept, left_out = _drop_copies(
        sorted(series, key=lambda one: (places[id(one)][0] if known else 0, one.moment)), same_image, places
    )
    numbers = _without_phase_names(kept, [places[id(one)][0] for one in kept])
    if set(numbers) != {0}:  # otherwise every series is called pre, a known slip; time alone tells them apart
        _check_numbers(case, kept, numbers)
    if len(kept) < 2:
        raise _missing(case, kept, len(kept))
    return {role(index): one for index, one in enumerate(kept)}, left_out


def stated_role(header: SliceHeader, roles: Mapping[str, str]) -> str | None:
    """What a table says of the series of this slice: a role, NO_PHASE, or None where it says nothing."""
    return roles.get(header.series, roles.get(f"#{header.number}"))


def role(index: int) -> str:
    """The role of the phase at this place in time: pre, post1, post2, ..."""
    return f"post{index}" if index else "pre"


def _drop_copies(
    ordered: Sequence[Series], same_image: SameImage, places: Mapping[int, tuple[int | None, bool]]
) -> tuple[list[Series], list[str]]:
    kept: list[Series] = []
    left_out: list[str] = []
    for one in ordered:
        alike = (other for other in kept if _may_be_copies(one, other, places) and same_image(one, other))
        original = next(alike, None)
        if original is None:
            kept.append(one)
        else:
            left_out.append(f"{name_of(one.head)}: a copy of series {original.head.number}")
    return kept, left_out


def _may_be_copies(one: Series, other: Series, places: Mapping[int, tuple[int | None, bool]]) -> bool:
    stated = places[id(one)][0]
    return one.moment[:-2] == other.moment[:-2] or (stated is not None and stated == places[id(other)][0])


def _place(one: Series, roles: Mapping[str, str]) -> tuple[int | None, bool]:
    """The place in time that is stated for a series, 0 for pre, None for none; and whether a table states it."""
    stated = stated_role(one.head, roles)
    if stated:
        return 0 if stated == "pre" else int(stated.removeprefix("post")), True
    return _named_place(one.head.description), False


def _named_place(description: str) -> int | None:
    if PRE.search(description):
        return 0
    found = PASS.search(description) or PHASE.search(description)
    return int(found.group(1)) if found else None


def _without_phase_names(ordered: Sequence[Series], numbers: Sequence[int | None]) -> list[int | None]:
    """The places, where "Ph1" is the first pass if another series comes before it, else pre."""
    phases = [PHASE.search(one.head.description) is not None for one in ordered]
    phase_is_pre = bool(phases) and phases[0] and numbers[0] == 1
    return [
        number - 1 if number and phase_is_pre and phase else number
        for number, phase in zip(numbers, phases, strict=True)
    ]


def _check_numbers(case: str, ordered: Sequence[Series], numbers: Sequence[int | None]) -> None:
    for index, (one, number) in enumerate(zip(ordered, numbers, strict=True)):
        if number is not None and number > index:
            raise _missing(case, ordered, index)
        if number is not None and number < index:
            raise InputError(
                "the names of the series contradict their times",
                case=case,
                file=one.folder,
                found=f"{one.head.description!r} as number {index + 1} in time",
                expected=f"{role(number)} as number {number + 1}",
                hint="correct the SeriesDescription, or leave the case out",
            )


def _missing(case: str, ordered: Sequence[Series], index: int) -> InputError:
    names = ", ".join(one.head.description for one in ordered) or "no dynamic fat-suppressed T1 series"
    return InputError(
        f"the phase {role(index)} is missing",
        case=case,
        found=names,
        file=ordered[0].folder.parent if ordered else None,
        expected="pre and post1, and no gap after",
        hint="fetch the series, or leave the case out",
    )
