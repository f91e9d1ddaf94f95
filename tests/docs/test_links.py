"""Relative links and anchors of all Markdown files."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from repository import ROOT
from tools.check_words import tracked_files

LINK = re.compile(r"(?<!`)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
EXTERNAL = ("https://", "http://", "mailto:")
PAGES = [page.as_posix() for page in tracked_files(["*.md"])]


def links(text: str) -> list[str]:
    """Return the targets of links and images outside of code."""
    return LINK.findall(CODE.sub("", FENCED.sub("", text)))


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@cache
def anchors(file: Path) -> set[str]:
    found: dict[str, int] = {}
    for line in FENCED.sub("", file.read_text(encoding="utf-8")).splitlines():
        if match := re.match(r"#{1,6} (.+)", line):
            name = slug(match[1])
            found[name] = found.get(name, -1) + 1
    return {name if not number else f"{name}-{number}" for name, most in found.items() for number in range(most + 1)}


def broken(page: str) -> list[str]:
    """Return the links of a page whose file or anchor does not exist."""
    wrong = []
    for link in links((ROOT / page).read_text(encoding="utf-8")):
        if link.startswith(EXTERNAL):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        is_file = target.exists() and target.resolve().is_relative_to(ROOT)
        if not is_file or (anchor and anchor not in anchors(target.resolve())):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    assert broken(page) == []


def test_every_page_of_docs_is_linked():
    linked = {
        (ROOT / page).parent.joinpath(link.partition("#")[0]).resolve()
        for page in PAGES
        for link in links((ROOT / page).read_text(encoding="utf-8"))
        if not link.startswith(EXTERNAL)
    }
    assert [page for page in PAGES if page.startswith("docs/") and (ROOT / page).resolve() not in linked] == []


def test_links_and_anchors_are_read_as_github_reads_them():
    text = "[a](b.md#c) ![image](d.png) `[no](e.md)` [![badge](f.svg)](g.md)\n```sh\n[no](h.md)\n```\n"
    assert links(text) == ["b.md#c", "d.png", "g.md"]
    assert slug("`plots/same.csv`, 2 times & more") == "plotssamecsv-2-times--more"
    assert slug("What is [linked](x.md)?") == "what-is-linked"
