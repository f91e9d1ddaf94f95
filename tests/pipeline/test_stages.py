"""dvc.yaml as the code reads it, against DVC's own reading of it."""

from pathlib import Path

import pytest
from dvc.repo import Repo
from repository import ROOT

from pre2post.pipeline.stages import code, locked_hash, made_by, outputs, parameters, read_stages, upstream


@pytest.fixture(scope="module")
def dvc_stages() -> dict:
    """DVC's stages by name, those of a matrix under the name of the whole."""
    with Repo(ROOT) as repo:
        return {stage.name: stage for stage in repo.index.stages if stage.cmd}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_names_and_outputs_are_dvcs(dvc_stages):
    stages = read_stages()
    assert set(stages) == {name.partition("@")[0] for name in dvc_stages}
    for name, stage in dvc_stages.items():
        if "@" not in name:
            assert sorted(outputs(stages[name])) == sorted(out.def_path for out in stage.outs)
            deps = {dep.def_path for dep in stage.deps if not hasattr(dep, "params")}
            assert set(stages[name]["deps"]) == deps


def test_stages_before_a_stage_are_dvcs(dvc_stages):
    import networkx

    with Repo(ROOT) as repo:
        graph = repo.index.graph
        for stage in graph:
            if stage.cmd:
                before = networkx.descendants(graph, stage) | {stage}
                names = {other.name.partition("@")[0] for other in before if other.cmd}
                assert set(upstream(read_stages(), stage.name.partition("@")[0])) == names


def test_every_file_has_its_maker():
    stages = read_stages()
    assert made_by(stages, Path("metrics/same.json")) == "select_checkpoint"
    assert made_by(stages, Path("artifacts/generator/generator.safetensors")) == "select_checkpoint"
    assert made_by(stages, Path("artifacts/segmenters/pre_0/x/fold_0")) == "train_segmentation"
    assert made_by(stages, Path("artifacts/segmenters")) == "train_segmentation"
    assert made_by(stages, Path("artifacts/gan")) == "train_gan"  # and not artifacts/generator, which begins alike
    assert made_by(stages, Path("data")) is None


def test_parameters_are_those_of_the_stages_with_their_values():
    stages = read_stages()
    found = parameters(stages, ["split", "synthesize"])
    assert set(found) == {*stages["split"]["params"], *stages["synthesize"]["params"]}
    assert found["seed"] == 2026


def test_code_is_the_script_and_its_rooms():
    assert set(code(read_stages()["split"])) == {
        "src/split.py",
        "src/cohort",
        "src/imaging",
        "src/pipeline",
        "src/cohort/published/duke_spie2024.json",
    }


def test_the_cohorts_hash_is_that_of_dvc():
    import yaml

    wanted = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]["md5"]
    assert locked_hash("ingest", "data") == wanted
    assert locked_hash("ingest", "elsewhere") is None and locked_hash("no stage", "data") is None
