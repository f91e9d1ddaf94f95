"""Find the phases of the dynamic study among the series of an examination.

The dynamic, fat-suppressed T1 series are sorted by acquisition time: the first is "pre", the others "post1" and so on.
Series names differ between scanners and years, and some are wrong, so they only select series and confirm the order.
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
PASS = re.compile(r"\b(\d) ?(?:st|nd|rd|th)(?![a-z])", re.I)  # "1st pass", the misspelled "1st pas", "1st ax dyn"
PHASE = re.compile(r"\bph ?(\d)", re.I)
SUPPRESSED = re.compile(r"\bfs\b|fat ?_?sat|spair|spir|dixon|ideal|vibrant|water", re.I)
NO_PHASE = ""  # role that a table gives to a series that is not a phase

SameImage = Callable[[Series, Series], bool]
Places = Mapping[int, tuple[int | None, bool]]  # result of _place by id() of the series


def why_not_dynamic(header: SliceHeader) -> str | None:
    """Return the reason why a series, given the header of a slice, is not part of the dynamic study; None if it is."""
    if DERIVED.search(header.description) or PROJECTED.intersection(header.image_type):
        return "derived from other series"
    if "SE" in header.scanning_sequence and "GR" not in header.scanning_sequence:
        return "a spin echo sequence"
    if UNSUPPRESSED.search(header.description):
        return "not fat-suppressed"
    return None if DYNAMIC.search(header.description) else "not a dynamic series"


def is_suppressed(header: SliceHeader) -> bool:
    """Return whether the name or another tag of a series indicates fat suppression."""
    tags = (header.description, header.sequence_name, header.protocol, *header.scan_options)
    return any(SUPPRESSED.search(text) for text in tags)


def drop_unsuppressed(series: Sequence[Series]) -> tuple[list[Series], list[str]]:
    """Drop series without a sign of fat suppression if others have one; return the rest and a line per dropped series.

    If no series has a sign, the scanner does not write it, and all are kept.
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
    """Return the description and number of a series."""
    return f"{header.description} ({header.number})"


def name_phases(
    case: str, series: Iterable[Series], same_image: SameImage, roles: Mapping[str, str] | None = None
) -> tuple[dict[str, Series], list[str]]:
    """Assign roles ("pre", "post1", ...) to the dynamic series of one examination.

    Args:
        case: id for messages.
        series: the dynamic series, in any order.
        same_image: returns whether two series hold the same pixels, i.e. one acquisition was exported twice; called
            only for series with the same name or time.
        roles: roles from a table, by SeriesInstanceUID or "#" and SeriesNumber. They override names, and times if every
            series has one.

    Returns the series by role and a line per dropped copy. Raises InputError if pre or post1 is missing, or if names
    contradict the order.
    """
    series = list(series)
    places = {id(one): _place(one, roles or {}) for one in series}
    known = all(places[id(one)][1] for one in series)

    def order(one: Series) -> tuple[int, tuple[float, ...]]:
        place = places[id(one)][0]
        return (place or 0) if known else 0, one.moment

    kept, copies = _drop_copies(sorted(series, key=order), same_image, places)
    numbers = _without_phase_names(kept, [places[id(one)][0] for one in kept])
    if set(numbers) != {0}:  # if all names say pre, a known error, only the times distinguish the series
        _check_numbers(case, kept, numbers)
    if len(kept) < 2:
        raise _missing(case, kept, len(kept))
    return {role(index): one for index, one in enumerate(kept)}, copies


def stated_role(header: SliceHeader, roles: Mapping[str, str]) -> str | None:
    """Return the role that a table gives to the series of this slice, NO_PHASE, or None without an entry."""
    return roles.get(header.series, roles.get(f"#{header.number}"))


def role(index: int) -> str:
    """Return the role of the phase at this place in time: pre, post1, post2, ..."""
    return f"post{index}" if index else "pre"


def _drop_copies(ordered: Sequence[Series], same_image: SameImage, places: Places) -> tuple[list[Series], list[str]]:
    kept: list[Series] = []
    copies: list[str] = []
    for one in ordered:
        alike = (other for other in kept if _may_be_copies(one, other, places) and same_image(one, other))
        original = next(alike, None)
        if original is None:
            kept.append(one)
        else:
            copies.append(f"{name_of(one.head)}: a copy of series {original.head.number}")
    return kept, copies


def _may_be_copies(one: Series, other: Series, places: Places) -> bool:
    stated = places[id(one)][0]
    return one.moment[:-2] == other.moment[:-2] or (stated is not None and stated == places[id(other)][0])


def _place(one: Series, roles: Mapping[str, str]) -> tuple[int | None, bool]:
    """Return the stated place in time, 0 for pre, None if unknown, and whether a table states it."""
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
    """Return the places with "Ph1" as pre if it is the first series, and as the first pass otherwise."""
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
        expected="pre, post1 and any later phases without a gap",
        hint="download the series, or leave the case out",
    )
