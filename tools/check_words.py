"""Check the words of README, docs, parameters, code and tests, and the sentence lengths of README and docs.

Prints each refused word with its place, then the mean and the longest sentence. Exit code 1 if a word is refused or
the mean is above the limit. Run as `python tools/check_words.py`; pre-commit and CI run the same.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIMIT = 16.0  # words per sentence, mean
PROSE = ("README.md", "docs/*.md")  # whose sentences are measured; * also matches folders
CHECKED = (
    *PROSE,
    "*.md",
    "CITATION.cff",
    "params.yaml",
    "dvc.yaml",
    "src/*.py",
    "tests/*.py",
    "tools/*.py",
    "bench/*.py",
    "cluster/*.py",
    "experiments/*.args",
)
# This file, and its test, name the words.
EXEMPT = ("tools/check_words.py", "tests/docs/test_words.py")

# Refused pattern -> what to write instead.
REFUSED = {
    r"\banew\b": "again, with replacement",
    r"\bwhoever\b": "the patients (users) who",
    r"\bnobody\b": "no patient, no one",
    r"\b(goes|go|going) (along )?with\b": "correlates with, matches, is used with",
    r"\bpays( off)?\b": "improves, loses, costs",
    r"\brooms?\b": "package, space",
    r"\bstands? (in|beside|by)\b": "is in, replaces, is next to",
    r"\b(lies|lie) beside\b": "is next to",
    r"\ba patient at a time\b": "per patient",
    r"\b(a|each) (row|line|value|figure) a (patient|case|mix|slice|epoch)\b": "one row per patient",
    r"\bbefore what\b|\bof what follows\b": "name the thing",
}
PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in REFUSED), re.IGNORECASE)

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
LIST_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
QUOTE = re.compile(r"^\s*>\s?")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)\]*_]*\s+(?=[\"'“(\[*_`]*[A-Z0-9`])")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|et al|vs|cf|approx|Fig|Eq|No|Dr|Int|J|Med)\.$")
WORD = re.compile(r"\w")


class Refused(NamedTuple):
    """One use of a refused word."""

    file: Path
    line: int
    word: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: "{self.word}"; write: {instead_of(self.word)}'


class Sentence(NamedTuple):
    """A sentence and its place: the first line of its paragraph."""

    file: Path
    line: int
    words: int
    text: str


def instead_of(word: str) -> str:
    """Return what to write instead of a refused word."""
    return next(better for pattern, better in REFUSED.items() if re.fullmatch(pattern, word, re.IGNORECASE))


def refused_words(file: Path, text: str) -> Iterator[Refused]:
    """Yield the refused words of a text, line by line."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield from (Refused(file, number, match.group()) for match in PATTERN.finditer(line))


def sentences(file: Path, text: str) -> Iterator[Sentence]:
    """Yield the sentences of a Markdown text. Code blocks, tables, headings, images and comments are left out.

    A paragraph, list item or quotation ends a sentence. Words are separated by spaces, also in code spans.
    """
    for line, paragraph in _paragraphs(text):
        prose = LINK.sub(r"\1", IMAGE.sub("", paragraph))
        for sentence in _split(" ".join(prose.split())):
            if words := sum(1 for word in sentence.split() if WORD.search(word)):
                yield Sentence(file, line, words, sentence)


def _split(prose: str) -> Iterator[str]:
    """Yield the sentences of a paragraph; an abbreviation ends none."""
    begun = ""
    for part in SENTENCE_END.split(prose):
        begun = f"{begun} {part}".strip()
        if not ABBREVIATION.search(begun):
            yield begun
            begun = ""
    if begun:
        yield begun


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line's number and the text of each paragraph and list item."""
    without_comments = COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)
    lines: list[str] = []
    start, fence = 0, ""
    for number, line in enumerate([*without_comments.splitlines(), ""], start=1):
        mark = FENCE.match(line)
        ends = mark or fence or not line.strip() or line.lstrip().startswith(("#", "|"))
        if lines and (ends or LIST_ITEM.match(line)):
            yield start, " ".join(lines)
            lines = []
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not ends:
            start = start if lines else number
            lines.append(QUOTE.sub("", LIST_ITEM.sub("", line)))


def tracked_files(patterns: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Return the files that Git knows, or would know, under these patterns; those that are gone are left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted({Path(name) for name in listed.split("\0") if name and (root / name).is_file()})


def all_refused(root: Path = ROOT) -> list[Refused]:
    """Return the refused words of all checked files."""
    files = [file for file in tracked_files(CHECKED, root) if file.as_posix() not in EXEMPT]
    return [found for file in files for found in refused_words(file, (root / file).read_text(encoding="utf-8"))]


def all_sentences(root: Path = ROOT) -> list[Sentence]:
    """Return the sentences of README and docs."""
    files = tracked_files(PROSE, root)
    return [found for file in files for found in sentences(file, (root / file).read_text(encoding="utf-8"))]


def mean_words(found: Sequence[Sentence]) -> float:
    """Return the mean number of words per sentence; 0 without any."""
    return sum(sentence.words for sentence in found) / len(found) if found else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=1, metavar="N", help="print the N longest sentences (default 1)")
    parser.add_argument("--by-file", action="store_true", help="print the mean of each file as well")
    arguments = parser.parse_args()
    refused, found = all_refused(), all_sentences()
    print("\n".join(map(str, refused)) or "no refused word")
    if arguments.by_file:
        for file in dict.fromkeys(sentence.file for sentence in found):
            own = [sentence for sentence in found if sentence.file == file]
            print(f"{mean_words(own):5.1f} words in {len(own):3} sentences: {file}")
    mean = mean_words(found)
    print(f"{len(found)} sentences, {mean:.1f} words on average, at most {LIMIT:g}")
    for sentence in sorted(found, key=lambda one: -one.words)[: arguments.longest]:
        print(f"{sentence.words} words, {sentence.file}:{sentence.line}: {sentence.text}")
    return 1 if refused or mean > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
