"""Provenance of a file of metrics: code, data, parameters and packages."""

import hashlib
import json
from pathlib import Path

import numpy
import pytest
import torch

from pre2post.pipeline.provenance import PACKAGES, provenance, write_metrics

DVC_YAML = """
stages:
  ingest: {cmd: python src/ingest.py, deps: ["${cohort}", src/ingest.py], params: [cohort], outs: [volumes]}
  score: {cmd: python src/score.py, deps: [volumes, src/score.py, src/package/a.py], params: [size],
          metrics: [metrics/score.json]}
  other: {cmd: python src/other.py, deps: [src/other.py], params: [other], metrics: [metrics/other.json]}
"""
LOCK = """
schema: '2.0'
stages: {ingest: {cmd: python src/ingest.py, deps: [{path: data, hash: md5, md5: abc.dir, size: 1, nfiles: 1}]}}
"""
FILE = Path("metrics/score.json")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "dvc.yaml": DVC_YAML,
        "dvc.lock": LOCK,
        "params.yaml": "cohort: data\nsize: 3\nother: 1\n",
        "src/score.py": "1",
        "src/other.py": "1",
        "src/package/a.py": "1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def change(file: str, text: str) -> None:
    Path(file).write_text(text)


def test_the_code_hash_depends_on_the_stages_own_dependencies(project):
    before = provenance(FILE)["code"]
    change("src/other.py", "2")
    assert provenance(FILE)["code"] == before
    change("src/package/a.py", "2")
    assert provenance(FILE)["code"] != before
    change("src/package/a.py", "1")
    assert provenance(FILE)["code"] == before


def test_the_hash_of_the_code_follows_from_what_dvc_lock_lists(project):
    """MD5 of each file, as DVC takes it, and its path."""
    from dvc_data.hashfile.hash import file_md5
    from dvc_objects.fs.local import LocalFileSystem

    files = ["src/package/a.py", "src/score.py"]
    lines = "".join(f"{file_md5(file, LocalFileSystem())} {file}\n" for file in files)
    assert provenance(FILE)["code"] == hashlib.sha256(lines.encode()).hexdigest()[:16]


def test_the_parameter_hash_depends_on_the_stage_and_all_before_it(project):
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


def test_outside_a_pipeline_the_unknown_is_null(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = provenance(FILE)
    assert [found[name] for name in ("code", "data", "params")] == [None] * 3
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text("cohort: data\nsize: 3\nother: 1\n")
    for name in ("score.py", "package/a.py"):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text("1")
    assert provenance(FILE)["code"] and provenance(FILE)["params"]


def test_dvc_shows_the_numbers_and_leaves_the_provenance_out(project):
    from dvc.repo import Repo

    write_metrics(FILE, {"mae": 0.5, "test": {"dice": 1}})
    assert json.loads(FILE.read_text())["provenance"] == [provenance(FILE)]
    with Repo.init(".", no_scm=True) as repo:
        shown = repo.metrics.show()
    assert shown[""]["data"][str(FILE)]["data"] == {"mae": 0.5, "test": {"dice": 1}}


def test_metrics_hold_six_digits_and_null_for_nan_and_infinity(project):
    content = {"mae": 1 / 3, "psnr": float("inf"), "n": 12345678, "test": {"dice": numpy.float32(0.1)}, "all": [2 / 3]}
    write_metrics(FILE, content | {"missing": float("nan"), "name": "0.123456789"})
    found = json.loads(FILE.read_text())
    del found["provenance"]
    assert found == {
        "mae": 0.333333,
        "psnr": None,
        "n": 12345678,
        "test": {"dice": 0.1},
        "all": [0.666667],
        "missing": None,
        "name": "0.123456789",
    }
