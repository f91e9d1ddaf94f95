"""Tables and numbers as Markdown."""

from collections.abc import Sequence

MISSING = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | str | None, digits: int, sign: bool = False) -> str:
    """Return a number with `digits` decimals, and with its sign if asked; a dash for a missing one."""
    if value is None or value == "":
        return MISSING
    return f"{float(value) + 0.0:{'+' if sign else ''}.{digits}f}"  # adding 0 turns a -0 into 0


def with_interval(
    value: float | str | None,
    low: float | str | None,
    high: float | str | None,
    digits: int,
    interval_digits: int | None = None,
    sign: bool = False,
) -> str:
    """Return "0.203 [0.08, 0.39]", or the number alone where the interval is withheld."""
    shown = number(value, digits, sign)
    if low in (None, "") or high in (None, ""):
        return shown
    ends = (number(end, digits if interval_digits is None else interval_digits, sign) for end in (low, high))
    return f"{shown} [{', '.join(ends)}]"


def listed(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))
