"""Which code, data, parameters and packages are said to have made a file of metrics."""

import json
import subprocess
from pathlib import Path

import numpy
import pytest
import torch

from pre2post.pipeline.provenance import PACKAGES, provenance, write_metrics

DVC_YAML = """
stages:
  ingest: {cmd: python src/ingest.py, deps: ["${cohort}", src/ingest.py], params: [cohort], outs: [volumes]}
  score: {cmd: python src/score.py, deps: [volumes, src/score.py, src/room], params: [size],
          metrics: [metrics/score.json]}
  other: {cmd: python src/other.py, deps: [src/other.py], params: [other], metrics: [metrics/other.json]}
"""
LOCK = """
schema: '2.0'
stages: {ingest: {cmd: python src/ingest.py, deps: [{path: data, hash: md5, md5: abc.dir, size: 1, nfiles: 1}]}}
"""
FILE = Path("metrics/score.json")


def git(*arguments: str) -> str:
    names = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *names, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "dvc.yaml": DVC_YAML,
        "dvc.lock": LOCK,
        "params.yaml": "cohort: data\nsize: 3\nother: 1\n",
        "src/score.py": "1",
        "src/other.py": "1",
        "src/room/a.py": "1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "1")
    return tmp_path


def change(file: str, text: str, commit: bool = True) -> str:
    Path(file).write_text(text)
    if commit:
        git("commit", "-qam", text)
    return git("rev-parse", "HEAD")


def test_the_commit_is_the_last_one_that_changed_the_stages_own_code(project):
    first = git("rev-parse", "HEAD")
    change("src/other.py", "2")
    assert provenance(FILE)["commit"] == first
    changed = change("src/room/a.py", "2")
    change("params.yaml", "cohort: data\nsize: 3\nother: 2\n")
    found = provenance(FILE)
    assert (found["commit"], found["uncommitted_changes"]) == (changed, False)


def test_changes_that_are_not_committed_are_told(project):
    change("src/other.py", "3", commit=False)
    assert provenance(FILE)["uncommitted_changes"] is False
    Path("src/room/new.py").write_text("1")
    assert provenance(FILE)["uncommitted_changes"] is True


def test_the_parameters_are_those_of_the_stage_and_of_all_before_it(project):
    before = provenance(FILE)["params"]
    change("params.yaml", "other: 5\ncohort: data\nsize: 3  # a comment\n")
    assert provenance(FILE)["params"] == before
    for text in ("cohort: elsewhere\nsize: 3\nother: 1\n", "cohort: data\nsize: 4\nother: 1\n"):
        change("params.yaml", text)
        assert provenance(FILE)["params"] != before


def test_data_and_packages(project):
    found = provenance(FILE)
    assert found["data"] == "abc.dir"
    assert set(found["packages"]) == set(PACKAGES)
    assert (found["packages"]["numpy"], found["packages"]["torch"]) == (numpy.__version__, torch.__version__)


def test_without_git_or_dvc_the_unknown_is_null(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = provenance(FILE)
    assert [found[name] for name in ("commit", "uncommitted_changes", "data", "params")] == [None] * 4
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text("cohort: data\nsize: 3\nother: 1\n")
    assert provenance(FILE)["commit"] is None and provenance(FILE)["params"]


def test_dvc_shows_the_numbers_and_leaves_the_provenance_out(project):
    from dvc.repo import Repo

    write_metrics(FILE, {"mae": 0.5, "test": {"dice": 1}})
    assert json.loads(FILE.read_text())["provenance"] == [provenance(FILE)]
    with Repo.init(".") as repo:
        shown = repo.metrics.show()
    assert shown[""]["data"][str(FILE)]["data"] == {"mae": 0.5, "test": {"dice": 1}}
