"""The commands of `dvc exp` and `dvc queue` on the tiny study, as in docs/how-to/run-and-compare-experiments.md."""

import csv
import io
import json
import subprocess
import time

import pytest

from pre2post.core.files import read_json, read_table

PATIENCE = 120  # seconds for two queued trainings
SWEEP = ("fm-1", "fm-2")


@pytest.fixture(scope="module")
def swept(reproduced):
    """The tiny study after a sweep of two values through the queue, two at a time; everything is removed in the end."""
    reproduced.run("dvc", "exp", "remove", "--all-commits")  # of other tests
    printed = reproduced.run("dvc", "exp", "run", "--queue", "-n", "fm", "-S", "gan.lambda_fm=5,20", "train_gan")
    assert all(f"Queued experiment '{name}'" in printed for name in SWEEP)
    assert reproduced.run("dvc", "queue", "status").count("Queued") == 2
    script = reproduced.path / "src/pre2post/pix2pixhd/train.py"
    original = script.read_text()
    script.write_text("raise SystemExit('code of a later moment')\n")  # a queued experiment runs what was queued
    reproduced.run("dvc", "queue", "start", "--jobs", "2")
    end = time.monotonic() + PATIENCE
    while any(word in reproduced.run("dvc", "queue", "status") for word in ("Queued", "Running")):
        assert time.monotonic() < end, reproduced.run("dvc", "queue", "status")
        time.sleep(0.5)
    script.write_text(original)
    yield reproduced
    reproduced.run("dvc", "exp", "remove", "--all-commits")
    reproduced.run("dvc", "queue", "remove", "--all")
    reproduced.restore()


def shown(clone, *options: str) -> dict[str, dict]:
    """The rows of `dvc exp show` by the experiment's name."""
    rows = csv.DictReader(io.StringIO(clone.run("dvc", "exp", "show", "--csv", *options)))
    return {row["Experiment"]: row for row in rows}


def test_a_sweep_runs_through_the_queue_two_at_a_time(swept):
    status = swept.run("dvc", "queue", "status")
    assert status.count("Success") == 2 and "Failed" not in status
    assert "train_gan" in swept.run("dvc", "queue", "logs", "fm-1")
    rows = shown(swept)
    assert [float(rows[name]["gan.lambda_fm"]) for name in SWEEP] == [5, 20]
    histories = []
    for name in SWEEP:
        content = swept.run("git", "show", f"{commit_of(swept, name)}:plots/gan_losses.csv")
        histories.append([float(row["g_fm"]) for row in csv.DictReader(io.StringIO(content))])
    assert histories[0][0] < histories[1][0]  # each ran with its own weight
    assert swept.run("git", "status", "--porcelain") == ""


def commit_of(clone, name: str) -> str:
    return next(line.split()[0] for line in clone.run("git", "show-ref").splitlines() if line.endswith(f"/{name}"))


def test_only_what_changed_is_shown_and_compared(swept):
    columns = set(next(iter(shown(swept, "--only-changed").values())))
    assert "gan.lambda_fm" in columns and not columns & {"gan.epochs", "seed"}
    assert not [name for name in columns if name.endswith(("mae", "dice"))]
    found = json.loads(swept.run("dvc", "exp", "diff", "fm-1", "fm-2", "--json"))
    assert found["params"] == {"params.yaml": {"gan.lambda_fm": {"old": 5, "new": 20, "diff": 15}}}


def test_an_experiment_is_applied_to_the_workspace_and_the_way_back_is_a_checkout(swept):
    swept.run("dvc", "exp", "apply", "fm-2")
    assert "lambda_fm: 20" in (swept.path / "params.yaml").read_text()
    assert "up to date" in swept.run("dvc", "status", "train_gan")
    swept.restore()
    assert "lambda_fm: 10.0" in (swept.path / "params.yaml").read_text()


def test_an_experiment_becomes_a_branch_that_metrics_are_compared_with(swept):
    swept.run("dvc", "exp", "branch", "fm-1", "weaker")
    found = json.loads(swept.run("dvc", "params", "diff", "HEAD", "weaker", "--json"))
    assert found["params.yaml"]["gan.lambda_fm"]["new"] == 5
    swept.run("dvc", "metrics", "diff", "weaker")
    swept.run("git", "branch", "-qD", "weaker")


def test_experiments_travel_with_their_checkpoints_through_git_and_a_remote(swept, tmp_path):
    swept.run("git", "init", "-q", "--bare", str(tmp_path / "shared.git"))
    swept.run("git", "remote", "add", "shared", str(tmp_path / "shared.git"))
    swept.run("git", "push", "-q", "shared", "HEAD:refs/heads/main")
    assert "Pushed experiment fm-1" in swept.run("dvc", "exp", "push", "shared", "fm-1")
    swept.run("git", "remote", "remove", "shared")
    colleague = type(swept)(swept.path.with_name(f"{tmp_path.name}_colleague"))
    subprocess.run(["git", "clone", "-q", "-b", "main", tmp_path / "shared.git", colleague.path], check=True)
    assert "fm-1" in colleague.run("dvc", "exp", "list", "origin")
    colleague.run("dvc", "exp", "pull", "origin", "fm-1")
    colleague.run("git", "checkout", "-q", commit_of(colleague, "fm-1"))
    colleague.run("dvc", "checkout", "artifacts/gan")
    assert len(list((colleague.path / "artifacts/gan").iterdir())) == 2


def test_an_experiment_in_a_temporary_folder_leaves_the_workspace_alone(swept):
    before = read_table(swept.path / "plots/gan_losses.csv")
    swept.run("dvc", "exp", "run", "--temp", "-n", "aside", "-S", "gan.epochs=1", "select_checkpoint")
    assert read_table(swept.path / "plots/gan_losses.csv") == before
    row = shown(swept)["aside"]
    assert row["metrics/same.json:checkpoints"] == row["gan.epochs"] == "1"
    made = json.loads(swept.run("git", "show", f"{commit_of(swept, 'aside')}:metrics/same.json"))["provenance"][0]
    here = read_json(swept.path / "metrics/same.json")["provenance"][0]
    assert made["params"] != here["params"]
    assert {name: made[name] for name in made if name != "params"} == {
        name: here[name] for name in here if name != "params"
    }


def test_nested_keys_lists_and_new_settings_reach_the_parameters(swept):
    swept.run(
        "dvc",
        "exp",
        "run",
        "-n",
        "nested",
        "-S",
        "segmentation.mixes.pre_synthetic.synthetic=0.5",
        "-S",
        "segmentation.train=[pre,quarter]",
        "-S",
        "+segmentation.mixes.quarter={post1: 1.0, synthetic: 0.25}",
        "-S",
        "split.test_fraction=0.4",
        "split",
    )
    content = swept.run("git", "show", f"{commit_of(swept, 'nested')}:params.yaml")
    tested = read_json(swept.path / "splits.json")["test"]
    swept.restore()
    assert "quarter" in content and tested
    assert content.count(" # ") > 50, "comments of params.yaml are lost"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("gan.nope=1", "Could not override 'gan.nope'"),
        ("gan.epochs=many", "gan.epochs: found 'many' (str), allowed: a valid integer"),
        ("gan.downs=5", "slices.size 32 does not fit gan.downs 5"),
        ("segmentation.train=[pre,none]", "train names 'none'"),
        ("segmentation.folds=[0,7]", "segmentation.folds has 7"),
        ("synthesis.weights=none.safetensors", "none.safetensors"),
    ],
)
def test_what_cannot_work_is_refused_by_the_first_stage_in_one_line(swept, settings, words):
    printed = swept.run("dvc", "exp", "run", "-S", settings, expect=255)
    swept.restore()
    assert len([line for line in printed.splitlines() if words in line]) == 1 and "Traceback" not in printed, printed
    assert printed.count("Running stage") <= 1, printed


def test_two_phases_jointly_from_slices_to_quality(swept):
    swept.run("dvc", "exp", "run", "-S", "slices.phases=[post1,post2]", "-S", "gan.channels=2", "evaluate_synthesis")
    found = read_json(swept.path / "metrics/synthesis.json")
    names = {path.name for path in (swept.path / "artifacts/synthetic").iterdir()}
    swept.restore()
    assert list(found) == ["test", "external", "test_post2", "external_post2", "provenance"]
    assert found["test"]["whole"]["synthetic"] != found["test_post2"]["whole"]["synthetic"]
    assert sum(name.endswith("_post2.nii.gz") for name in names) == len(names) / 2 > 0
