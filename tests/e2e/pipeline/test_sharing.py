"""What DVC users do with results that somebody else shares, in a second clone, and what is never shared."""

import hashlib
import subprocess

import dvc.api
import pytest
from safetensors.torch import load

from pre2post.core.files import read_json
from pre2post.pipeline.model_card import read_card
from pre2post.pix2pixhd.checkpoint import load_generator

GENERATOR = "artifacts/generator/generator.safetensors"
IMAGES = (
    "data",
    "artifacts/volumes",
    "artifacts/slices",
    "artifacts/synthetic",
    "artifacts/nnunet",
    "artifacts/predictions",
)


@pytest.fixture(scope="module")
def shared(reproduced):
    """The tiny study after an experiment and a push of everything: the remote lies at home, beside the clone."""
    reproduced.run("dvc", "exp", "run", "-S", "slices.min_foreground=0.03", "extract_slices")
    reproduced.restore()
    reproduced.run("dvc", "push", "--run-cache")
    return reproduced


@pytest.fixture
def second(shared, tmp_path):
    """Another clone, beside the same remote."""
    path = shared.path.with_name(tmp_path.name)
    subprocess.run(["git", "clone", "-q", shared.path, path], check=True)
    return type(shared)(path)


def test_checkpoints_travel_and_images_do_not(shared):
    """Neither by push nor by the run cache, which knows every earlier run."""
    store = shared.path.with_name("pre2post-shared") / "files/md5"
    sent = {file.parent.name + file.name for file in store.glob("*/*")}
    hashes = {
        folder: {
            hashlib.md5(file.read_bytes()).hexdigest()
            for file in (shared.path / folder).rglob("*")
            if file.is_file() and file.suffix != ".json"
        }
        for folder in (*IMAGES, "artifacts/gan")
    }
    assert hashes["artifacts/gan"] and hashes["artifacts/gan"] <= sent
    assert all(hashes[folder] and not hashes[folder] & sent for folder in IMAGES)
    starts = [file.read_bytes()[:400] for file in store.glob("*/*")]
    assert not any(
        start.startswith((b"\x93NUMPY", b"\x1f\x8b")) or b"n+1\0" in start or start[128:132] == b"DICM"
        for start in starts
    ), "a volume or slices were sent under another name"


def test_checkpoints_alone_are_pulled_and_nothing_has_to_run_until_something_changes(second):
    second.run("dvc", "pull", "artifacts/gan")
    assert [path.name for path in (second.path / "artifacts").iterdir()] == ["gan"]
    assert load_generator(second.path / "artifacts/gan/epoch_0002.safetensors")
    printed = second.run("dvc", "repro", "--pull", "--allow-missing", "evaluate_synthesis")
    assert "Running stage" not in printed and "up to date" in printed
    second.set_params(**{"statistics.n_resamples": 120})
    printed = second.run("dvc", "repro", "--pull", "--allow-missing", "evaluate_synthesis", expect=255)
    assert "failed to reproduce 'select_checkpoint': Checkout failed" in printed and "artifacts/slices" in printed
    assert load_generator(second.path / "artifacts/gan/epoch_0002.safetensors"), "what was pulled is not lost"


def test_with_the_cohort_at_hand_everything_but_the_trainings_is_made_anew(shared, second):
    second.run("dvc", "pull", "--allow-missing")
    second.pre2post("phantom", "--cases", "14", "--matrix", "32", "--slices", "8")
    printed = second.run("dvc", "repro")
    assert "Running stage 'ingest'" in printed and "Running stage 'synthesize'" in printed
    assert "Running stage 'train" not in printed
    assert second.run("git", "status", "--porcelain") == ""  # metrics, plots and dvc.lock are the same to the byte
    assert read_json(second.path / "metrics/same.json") == read_json(shared.path / "metrics/same.json")


def test_the_run_cache_tells_what_was_run(shared, second):
    """Which is all that DVC 3.67 sends of it: results of other parameters travel as experiments."""
    second.run("dvc", "pull", "--run-cache", "--allow-missing")
    known = {file.name for file in (second.path / ".dvc/cache/runs").glob("*/*/*")}
    assert known == {file.name for file in (shared.path / ".dvc/cache/runs").glob("*/*/*")}


def test_another_project_gets_and_imports_the_generator_with_its_card(shared, tmp_path):
    project = type(shared)(tmp_path)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    project.run("dvc", "get", str(shared.path), "artifacts/generator", "--out", "got")
    project.run("dvc", "import", str(shared.path), "artifacts/generator", "--out", "imported")
    for folder in ("got", "imported"):
        weights = tmp_path / folder / "generator.safetensors"
        assert load_generator(weights) and read_card(weights).n_patients
    assert "rev_lock" in (tmp_path / "imported.dvc").read_text()


def test_four_lines_of_python_open_the_weights(shared):
    with dvc.api.open(GENERATOR, repo=str(shared.path), mode="rb") as file:
        weights = load(file.read())
    assert weights.keys() == load_generator(shared.path / GENERATOR).state_dict().keys()


def test_a_tagged_model_is_found_by_its_name(shared, tmp_path):
    shared.run("git", "tag", "-a", "generator@v1.0.0", "-m", "First")
    project = type(shared)(tmp_path)
    project.run("dvc", "artifacts", "get", str(shared.path), "generator", "--out", "model")
    assert load_generator(tmp_path / "model/generator.safetensors")
    shared.run("git", "tag", "-d", "generator@v1.0.0")


def test_metrics_are_computed_anew_and_compared_with_git(shared):
    assert "all as in HEAD" in shared.pre2post("verify", "metrics/same.json")
    content = (shared.path / "metrics/same.json").read_text()
    (shared.path / "metrics/same.json").write_text(content.replace('"mae": 0', '"mae": 1', 1))
    shared.run("git", "commit", "-qam", "A better number")
    told = shared.pre2post("verify", "metrics/same.json:mae", expect=1)
    shared.run("git", "reset", "-q", "--hard", "HEAD~1")
    assert "metrics/same.json:mae: 1 of 1 values differ: value: 1." in told and "computed" in told


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["metrics/none.json"], "no stage writes these metrics"),
        (["metrics/same.json:a.b"], "there is no a.b"),
        (["metrics/same.json", "--revision", "nowhere"], "this is not in Git"),
    ],
)
def test_what_cannot_be_verified_is_told_in_one_line(shared, wanted, words):
    told = shared.pre2post("verify", *wanted, expect=1)
    assert told.startswith("error: ") and words in told and len(told.splitlines()) == 1
