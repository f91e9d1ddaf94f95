"""The commands in the sh blocks of README, docs, CONTRIBUTING and other pages, and which of them a test runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from repository import ROOT
from tools.check_words import tracked_files

PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "experiments/README.md", "cluster/README.md", "weights/README.md")
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
FENCE = re.compile(r"^( *)```(\w*)\s*$")


class Block(NamedTuple):
    """One sh block: its page and first line, its commands as a shell reads them, and why no test runs it."""

    page: str
    line: int
    script: str
    reason: str  # "" if a test runs it

    @property
    def commands(self) -> list[str]:
        """Return the command lines without comments; a line that ends in a backslash continues."""
        joined = self.script.replace("\\\n", " ")
        lines = (without_comment(line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def without_comment(line: str) -> str:
    """Return a shell line up to the # that begins its comment: outside of quotes, and not within a word."""
    quote = ""
    for place, sign in enumerate(line):
        if sign == "#" and not quote and (place == 0 or line[place - 1].isspace()):
            return line[:place]
        if sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
    return line


def documented_blocks(root: Path = ROOT) -> list[Block]:
    """Return the sh blocks of all pages."""
    pages = tracked_files(PAGES, root)
    return [block for page in pages for block in blocks(page.as_posix(), (root / page).read_text(encoding="utf-8"))]


def blocks(page: str, text: str) -> Iterator[Block]:
    """Yield the sh blocks of a page. A comment `<!-- not run: reason -->` on the line above excludes a block."""
    before, language, reason, start, inside = "", "", "", 0, False
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and not inside:
            mark = NOT_RUN.fullmatch(before.strip())
            inside, language, reason = True, fence[2], mark[1] if mark else ""
            start, lines = number + 1, []
        elif fence:
            if language == "sh":
                yield Block(page, start, "\n".join(lines), reason)
            inside = False
        elif inside:
            lines.append(line.strip() if line.startswith("   ") else line)
        before = line
