"""dvc.yaml as the code reads it, against DVC's own reading of it."""

from pathlib import Path

import pytest
from dvc.repo import Repo
from repository import ROOT

from pre2post.pipeline.stages import code, locked_hash, made_by, outputs, parameters, read_stages, upstream


@pytest.fixture(scope="module")
def dvc_stages() -> dict:
    """DVC's stages by name, those of a matrix under their common name."""
    with Repo(ROOT) as repo:
        return {stage.name: stage for stage in repo.index.stages if stage.cmd}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_names_outputs_and_dependencies_agree_with_dvc(dvc_stages):
    stages = read_stages()
    assert set(stages) == {name.partition("@")[0] for name in dvc_stages}
    for name, stage in dvc_stages.items():
        if "@" not in name:
            assert sorted(outputs(stages[name])) == sorted(out.def_path for out in stage.outs)
            deps = {dep.def_path for dep in stage.deps if not hasattr(dep, "params")}
            assert set(stages[name]["deps"]) == deps


def test_upstream_stages_agree_with_dvc(dvc_stages):
    import networkx

    with Repo(ROOT) as repo:
        graph = repo.index.graph
        for stage in graph:
            if stage.cmd:
                before = networkx.descendants(graph, stage) | {stage}
                names = {other.name.partition("@")[0] for other in before if other.cmd}
                assert set(upstream(read_stages(), stage.name.partition("@")[0])) == names


def test_the_stage_of_every_output_is_found():
    stages = read_stages()
    assert made_by(stages, Path("metrics/same.json")) == "select_checkpoint"
    assert made_by(stages, Path("artifacts/generator/generator.safetensors")) == "select_checkpoint"
    assert made_by(stages, Path("artifacts/segmenters/pre_0/x/fold_0")) == "train_segmentation"
    assert made_by(stages, Path("artifacts/segmenters")) == "train_segmentation"
    assert made_by(stages, Path("artifacts/gan")) == "train_gan"  # not of artifacts/generator, which begins the same
    assert made_by(stages, Path("data")) is None


def test_parameters_are_those_of_the_stages_with_their_values():
    stages = read_stages()
    found = parameters(stages, ["split", "synthesize"])
    assert set(found) == {*stages["split"]["params"], *stages["synthesize"]["params"]}
    assert found["seed"] == 2026


def test_code_is_every_source_file_among_the_dependencies():
    split = read_stages()["split"]
    assert code(split) == [dep for dep in split["deps"] if not dep.startswith("artifacts/")]
    assert {"src/split.py", "src/pre2post/splits/random_split.py"} <= set(code(split))


def test_text_from_params_yaml_is_filled_in_and_items_of_a_matrix_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("data: {folder: images}\nfolds: [0, 1]\n")
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  one: {matrix: {fold: '${folds}'}, cmd: 'run ${data.folder} ${item.fold}', deps: ['${data.folder}/a'],\n"
        "        outs: ['out/${item.fold}']}\n"
        "  two: {cmd: other, deps: [out], metrics: [{m.json: {cache: false}}]}\n"
    )
    stages = read_stages()
    assert stages["one"]["cmd"] == "run images ${item.fold}" and stages["one"]["matrix"] == {"fold": [0, 1]}
    assert stages["one"]["deps"] == ["images/a"] and outputs(stages["two"]) == ["m.json"]
    assert made_by(stages, Path("out/3/x")) == "one" and upstream(stages, "two") == ["one", "two"]


def test_the_hash_of_the_cohort_agrees_with_dvc():
    import yaml

    wanted = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]["md5"]
    assert locked_hash("ingest", "data") == wanted
    assert locked_hash("ingest", "elsewhere") is None and locked_hash("no stage", "data") is None
