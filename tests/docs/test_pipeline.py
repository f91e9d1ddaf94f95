"""docs/reference/pipeline.md against dvc.yaml and the packages."""

import ast
import json
import re
from fnmatch import fnmatchcase

import pytest
import yaml
from repository import ROOT, SRC

PAGE = (ROOT / "docs/reference/pipeline.md").read_text(encoding="utf-8")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PACKAGE = SRC / "pre2post"
PACKAGES = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__")
EXCEPTION = "pipeline"  # composes the parameters of all packages
CELL = re.compile(r"`([^`]+)`")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of the table below a heading, by the name in their first cell."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def layers() -> list[list[str]]:
    """Return the packages of each line of the drawing, from top to bottom."""
    drawing = PAGE.partition("imports only from lines below its own:\n\n```text\n")[2].partition("```")[0]
    return [line.split() for line in drawing.splitlines()]


def imported_packages(package: str) -> set[str]:
    found = set()
    for file in (PACKAGE / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            found |= {name.split(".")[1] for name in names if name.startswith("pre2post.")}
    return found & set(PACKAGES) - {package, EXCEPTION}


def paths(entries: list) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def matching(patterns: list[str], wanted: list[str]) -> tuple[list[str], list[str]]:
    """Return the paths that no pattern matches, and the patterns that match no path."""
    missing = [path for path in wanted if not any(path == one or fnmatchcase(path, one) for one in patterns)]
    unknown = [one for one in patterns if not any(path == one or fnmatchcase(path, one) for path in wanted)]
    return missing, unknown


def test_every_package_is_named_and_no_other():
    assert sorted(rows("Packages")) == PACKAGES


def test_every_stage_is_named_and_no_other():
    assert list(rows("Stages")) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_and_writes_what_the_page_says(stage):
    _, reads, writes = rows("Stages")[stage]
    deps = [dep for dep in paths(STAGES[stage]["deps"]) if not dep.startswith("src/")] or ["params.yaml"]
    outs = [path for kind in ("outs", "metrics", "plots") for path in paths(STAGES[stage].get(kind, []))]
    assert matching(CELL.findall(reads), deps) == ([], [])
    assert matching(CELL.findall(writes), outs) == ([], [])


def test_packages_import_only_from_lower_layers():
    below: set[str] = set()
    for layer in reversed(layers()):
        for package in layer:
            assert imported_packages(package) <= below, package
        below |= set(layer)
    assert below == set(PACKAGES) - {EXCEPTION}


def test_the_boxes_name_every_stage():
    drawing = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    assert drawing.count("[") == 7
    assert set(re.findall(r"[a-z_]+", drawing)) >= set(STAGES)


def test_the_files_named_on_the_page_exist():
    outs = {path for stage in STAGES.values() for path in paths(stage.get("outs", []))}
    for name in re.findall(r"`((?:src|tests|tools|docs)/[\w/.]+\.\w+)`", PAGE):
        assert (ROOT / name).exists() or name in outs, name


def test_the_window_of_the_small_plan_is_that_of_the_page():
    study = (ROOT / "docs/explanation/segmentation-study.md").read_text(encoding="utf-8")
    plan = json.loads((PACKAGE / "segmentation/small_plan.json").read_text(encoding="utf-8"))
    assert " x ".join(map(str, plan["patch_size"])) in " ".join(study.split())


def test_stage_scripts_are_short():
    for name in STAGES:
        lines = len((SRC / f"{name}.py").read_text(encoding="utf-8").splitlines())
        assert lines <= 100, name
