"""Which series of an examination are the phases of its dynamic study: named by what they are, never by a counter.

The dynamic, fat-suppressed T1 series are put in order of their acquisition; the first is "pre", the others "post1" and
so on. Their names differ between scanners and years, and some are wrong, so names only choose and check.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from imaging.dicom import Series
from pipeline.errors import InputError

DYNAMIC = re.compile(r"dyn|multi ?-?phase|vibrant|\d(st|nd|rd|th) pas|\bph ?\d", re.I)
UNSUPPRESSED = re.compile(r"\bnon?[- _]?(fat|fs)|without fat|w/?o fs", re.I)
DERIVED = re.compile(r"\bsub(traction)?s?\b|\bmip\b|\bmpr\b", re.I)
PRE = re.compile(r"(?<![a-z])pre(?![a-z])", re.I)
PASS = re.compile(r"(\d) ?(?:st|nd|rd|th)[ _]pas", re.I)  # "1st pass", and "1st pas" as some were typed
PHASE = re.compile(r"\bph ?(\d)", re.I)

SameImage = Callable[[Series, Series], bool]


def why_not_dynamic(description: str) -> str | None:
    """Why a series of this description is no phase of the dynamic study; None when it is one."""
    if DERIVED.search(description):
        return "derived from other series"
    if UNSUPPRESSED.search(description):
        return "not fat-suppressed"
    return None if DYNAMIC.search(description) else "not a dynamic series"


def name_phases(case: str, series: Iterable[Series], same_image: SameImage) -> tuple[dict[str, Series], list[str]]:
    """Roles ("pre", "post1", ...) of the dynamic series of one examination, and a line on each one left out.

    `same_image` tells whether two series hold the same pixels, a second export of one acquisition; it is asked only of
    series with one name or one time. Raises InputError when pre or post1 is missing or a name contradicts the order.
    """
    kept, left_out = _drop_copies(sorted(series, key=lambda one: one.moment), same_image)
    numbers = _stated_numbers(kept)
    if set(numbers) != {0}:  # otherwise every series is called pre, a known slip; time alone tells them apart
        _check_numbers(case, kept, numbers)
    if len(kept) < 2:
        raise _missing(case, kept, len(kept))
    return {role(index): one for index, one in enumerate(kept)}, left_out


def role(index: int) -> str:
    """The role of the phase at this place in time: pre, post1, post2, ..."""
    return f"post{index}" if index else "pre"


def _drop_copies(ordered: Sequence[Series], same_image: SameImage) -> tuple[list[Series], list[str]]:
    kept: list[Series] = []
    left_out: list[str] = []
    for one in ordered:
        alike = (other for other in kept if _may_be_copies(one, other) and same_image(one, other))
        original = next(alike, None)
        if original is None:
            kept.append(one)
        else:
            left_out.append(f"{one.head.description} ({one.head.number}): a copy of series {original.head.number}")
    return kept, left_out


def _may_be_copies(one: Series, other: Series) -> bool:
    stated = _stated(one.head.description)
    return one.moment[:2] == other.moment[:2] or (stated is not None and stated == _stated(other.head.description))


def _stated(description: str) -> int | None:
    """The place in time that a description states: 0 for pre; None when it states none."""
    if PRE.search(description):
        return 0
    found = PASS.search(description) or PHASE.search(description)
    return int(found.group(1)) if found else None


def _stated_numbers(ordered: Sequence[Series]) -> list[int | None]:
    """Places that the descriptions state. "Ph1" is the first pass where another series comes before it, else pre."""
    descriptions = [one.head.description for one in ordered]
    numbers = [_stated(description) for description in descriptions]
    phase_is_pre = bool(descriptions) and PHASE.search(descriptions[0]) is not None and numbers[0] == 1
    return [number - 1 if number and phase_is_pre and PHASE.search(description) else number
            for number, description in zip(numbers, descriptions, strict=True)]


def _check_numbers(case: str, ordered: Sequence[Series], numbers: Sequence[int | None]) -> None:
    for index, (one, number) in enumerate(zip(ordered, numbers, strict=True)):
        if number is not None and number > index:
            raise _missing(case, ordered, index)
        if number is not None and number < index:
            raise InputError("the names of the series contradict their times", case=case, file=one.folder,
                             found=f"{one.head.description!r} as number {index + 1} in time",
                             expected=f"{role(number)} as number {number + 1}",
                             todo="correct the SeriesDescription, or leave the case out")


def _missing(case: str, ordered: Sequence[Series], index: int) -> InputError:
    names = ", ".join(one.head.description for one in ordered) or "no dynamic fat-suppressed T1 series"
    return InputError(f"the phase {role(index)} is missing", case=case, found=names,
                      file=ordered[0].folder.parent if ordered else None, expected="pre and post1, and no gap after",
                      todo="fetch the series, or leave the case out")
