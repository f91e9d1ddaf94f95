"""The pages of `dvc plots` draw without a network, since .dvc/plots/page.html holds what it needs."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dvc_render.vega import VegaRenderer
from repository import ROOT

PAGE = ROOT / ".dvc/plots/page.html"
TOOL = ROOT / "tools/write_plot_page.py"
WIDTHS = "<script>onload = () => document.body.dataset.widths = [...document.images].map(i => i.naturalWidth)</script>"


class Elements(HTMLParser):
    """The elements of a page with their attributes. Texts of scripts are no elements."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def having(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.found if name == tag and attributes.items() <= found.items()]


@pytest.mark.parametrize(
    ("command", "revisions"), [("show", {"workspace"}), ("diff", {"workspace", "HEAD"})], ids=["show", "diff"]
)
def test_plots_are_drawn_without_a_network(drawn, project, command, revisions):
    page = Path(project("dvc", "plots", command, "-o", f"{command}_page").strip().removeprefix("file://"))
    written = page.read_text(encoding="utf-8")
    loads = [(tag, found) for tag, found in Elements(written).found if tag in ("script", "link") or "src" in found]
    assert not [found for _, found in loads if re.match("(https?:)?//", found.get("src") or found.get("href") or "")]

    elements = Elements(drawn(page))
    marks = [found for found in elements.having("path", **{"aria-roledescription": "line mark"}) if found.get("d")]
    assert {found["aria-label"].rpartition("rev: ")[2] for found in marks} == revisions  # a curve for each
    assert all(found["d"].count("L") == 4 for found in marks)  # through the five rows
    assert not elements.having("p", **{"class": "failed"})


def test_pictures_are_loaded_under_the_content_policy(drawn, project):
    page = Path(project("dvc", "plots", "diff", "-o", "pictures_page").strip().removeprefix("file://"))
    probe = page.with_name("probe.html")
    text = page.read_text(encoding="utf-8")
    probe.write_text(text + WIDTHS, encoding="utf-8")
    assert Elements(drawn(probe)).having("body")[0]["data-widths"] == "31,31"


def test_a_plot_without_data_is_named_and_leaves_no_frame(drawn, project):
    page = Path(project("dvc", "plots", "show", "-o", "missing_page").strip().removeprefix("file://"))
    text = drawn(page)
    assert "<li>missing_csv</li>" in text
    assert not Elements(text).having("div", id="missing_csv")


def test_page_is_a_template_that_loads_nothing():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("{plot_divs}") == 1
    assert "{scripts}" not in text
    assert 'src="http' not in text
    assert "default-src 'none'" in text


def test_page_holds_the_versions_that_dvc_names():
    named = re.findall(r"npm/([\w-]+@[\d.]+)", VegaRenderer.SCRIPTS)
    held = re.findall(r'<script data-library="(.+?)">', PAGE.read_text(encoding="utf-8"))
    assert held == named, "what to do: change LIBRARIES in tools/write_plot_page.py and run it"


def run_tool(folder: Path, npm: str | None) -> subprocess.CompletedProcess:
    """Run the tool with this shell script as the only npm, on a page that is there already."""
    (folder / "page.html").write_text("before")
    programs = folder / "programs"
    programs.mkdir()
    if npm is not None:
        (programs / "npm").write_text(f"#!/bin/sh\n{npm}\n")
        (programs / "npm").chmod(0o755)
    return subprocess.run(
        [sys.executable, TOOL, "--output", folder / "page.html"],
        env=os.environ | {"PATH": str(programs)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        (None, "npm is not installed"),
        ("echo no route >&2; exit 1", "npm pack vega@5.20.2 brought no tarball; found: no route"),
        ("echo other > vega-5.20.2.tgz", "vega-5.20.2.tgz is not the pinned tarball"),
    ],
    ids=["missing", "fails", "other-tarball"],
)
def test_tool_says_in_one_line_what_is_wrong_and_keeps_the_page(tmp_path, npm, message):
    ended = run_tool(tmp_path, npm)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {message}")
    assert ended.stderr.count("\n") == 1
    assert (tmp_path / "page.html").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "programs"}
