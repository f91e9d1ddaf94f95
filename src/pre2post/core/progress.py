"""Progress bars on a terminal, and occasional lines in a log file."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30  # in a log file: often enough to show life, seldom enough to keep it readable


def progress(
    items: Iterable[Any] | None,
    title: str,
    total: int | None = None,
    unit: str = "it",
    start: int = 0,
    quiet: bool = False,
) -> tqdm:
    """Wrap `items` in a progress bar named `title`; `start` items count as done. `quiet` shows nothing."""
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=title,
        total=total,
        unit=unit,
        initial=start,
        dynamic_ncols=terminal,
        leave=True,
        disable=quiet,
        mininterval=0.2 if terminal else SECONDS_BETWEEN_LINES,
        ascii=None if terminal else " #",
        file=sys.stderr,
    )
