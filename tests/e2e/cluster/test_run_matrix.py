import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from repository import ROOT

from pre2post.core.files import read_json
from pre2post.pipeline.params import load_params

ALL = ["a_0", "a_1", "b_0", "b_1"]


@pytest.fixture(scope="module")
def run_matrix():
    spec = importlib.util.spec_from_file_location("run_matrix", ROOT / "cluster/run_matrix.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_failed_stage_does_not_stop_others_and_the_next_run_runs_the_missing_ones(project):
    (project.path / "broken.txt").write_text("b_0\n")
    printed = project.run("train*", "--jobs", "2", expect=1)
    assert project.trained() == ALL
    assert "done now: 3, failed: 1" in printed
    last = printed.splitlines()[-1]
    assert last.startswith("error: train@b-0 failed, see .matrix/logs/train@b-0.log; what to do:")
    assert "this mix cannot be trained" in (project.path / ".matrix/logs/train@b-0.log").read_text()
    assert sorted(path.name for path in (project.path / "out").iterdir()) == ["a_0", "a_1", "b_1"]
    assert list((project.path / ".matrix/clones").iterdir()) == []

    (project.path / "broken.txt").write_text("none of them\n")  # not committed: jobs see uncommitted changes
    project.run("train@b-0", "--jobs", "2")
    assert project.trained() == ["b_0"]
    subprocess.run(["dvc", "repro"], cwd=project.path, env=project.environment, check=True)
    assert (project.path / "all.txt").read_text() == "".join(f"{name.replace('_', '')}1 2 3" for name in ALL)


def test_finished_stages_do_not_run_again_and_the_head_alone_writes_the_lock(project):
    project.run("train@a*", "--jobs", "2")
    assert project.trained() == ["a_0", "a_1"]
    assert "done now: 0, failed: 0" in project.run("train@a*")
    project.run("train*", "--jobs", "2")
    project.run("gather")
    assert project.trained() == ["b_0", "b_1"]
    status = subprocess.run(
        ["dvc", "status"], cwd=project.path, env=project.environment, text=True, capture_output=True, check=True
    )
    assert "up to date" in status.stdout
    # Another checkout takes the results from the run cache, without a training.
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=project.path, check=True)
    (project.path / "dvc.lock").unlink()
    subprocess.run(["dvc", "repro"], cwd=project.path, env=project.environment, check=True)
    assert project.trained() == []


@pytest.mark.parametrize(
    ("environment", "expected"), [({"CUDA_VISIBLE_DEVICES": "3,5"}, {"3", "5"}), ({}, {"GPU-a", "GPU-b"})]
)
def test_every_job_has_its_own_gpu(project, tmp_path, environment, expected):
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'GPU 0: Some GPU (UUID: GPU-a)'\necho 'GPU 1: Some GPU (UUID: GPU-b)'\n")
    smi.chmod(0o755)
    path = f"{smi.parent}:{project.environment['PATH']}"
    printed = project.run("train*", PATH=path, SECONDS="0.5", **environment)
    assert f"{len(expected)} at once" in printed
    assert {note.read_text() for note in project.notes.iterdir()} == expected


def test_without_gpus_there_is_one_job_at_a_time(project, tmp_path):
    path = _without("nvidia-smi", project.environment["PATH"], tmp_path / "bin")
    assert "4 stages, 1 at once" in project.run("train*", PATH=path)
    assert {note.read_text() for note in project.notes.iterdir()} == {"none"}


def _without(command, path, folder):
    """Return a PATH with all commands that these tests need, except this one."""
    folder.mkdir()
    for name in ("git", "dvc", "python", "sh", "cat"):
        (folder / name).symlink_to(shutil.which(name, path=path))
    assert command not in os.listdir(folder)
    return str(folder)


def _runs(process):
    """Return whether a process runs and is not a zombie."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children_and_leaves_no_partial_result(project, how):
    process = subprocess.Popen(
        project.command("train*", "--jobs", "2"),
        cwd=project.path,
        text=True,
        env=project.environment | {"SECONDS": "600"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(project.notes.iterdir())) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    children = [int(note.suffix[1:]) for note in project.notes.iterdir()]
    process.send_signal(how)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "run the same command again" in printed
    assert not any(map(_runs, children))
    assert list((project.path / ".matrix/clones").iterdir()) == []
    project.trained()
    project.run("train*", "--jobs", "2")
    assert project.trained() == ALL


def test_jobs_see_untracked_files_and_the_state_of_git_does_not_change(project):
    train = (project.path / "train.py").read_text()
    (project.path / "train.py").write_text("import helper\n" + train)
    (project.path / "helper.py").touch()
    before = subprocess.run(["git", "status", "--short"], cwd=project.path, capture_output=True, text=True).stdout
    project.run("train@a-0")
    after = subprocess.run(["git", "status", "--short"], cwd=project.path, capture_output=True, text=True).stdout
    assert "?? helper.py" in before
    assert set(after.splitlines()) - set(before.splitlines()) == {"?? dvc.lock"}


def test_states_of_killed_trainings_are_saved_at_the_head(project):
    train = (project.path / "train.py").read_text()
    (project.path / "train.py").write_text(
        train + "pathlib.Path(os.environ['DVC_ROOT'], '.resume/' + mix + fold).write_text('here')\n"
    )
    project.run("train@a-0")
    assert (project.path / ".resume/a0").read_text() == "here"


def test_an_unknown_stage_is_refused_in_one_line(project, tmp_path):
    printed = project.run("tain*", expect=1)
    assert printed.splitlines() == [
        "error: no stage has this name; found: tain*; expected: gather, prepare, "
        "train@a-0, train@a-1, train@b-0, train@b-1"
    ]
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(project.command("train*"), cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: file") and "top folder" in done.stderr


def test_the_real_pipeline_has_its_matrix(run_matrix, monkeypatch):
    monkeypatch.chdir(ROOT)
    jobs = run_matrix.find_jobs(["train_segmentation@post-*"])
    folds = load_params(ROOT / "params.yaml").segmentation.folds
    assert [job.stage for job in jobs] == [f"train_segmentation@post-{fold}" for fold in folds]
    assert {job.before for job in jobs} == {("plan_and_preprocess",)}


def test_a_missing_slurm_is_reported(project, tmp_path):
    path = _without("sbatch", project.environment["PATH"], tmp_path / "bin")
    assert "Slurm is not installed on this machine" in project.run("train*", "--slurm", PATH=path, expect=1)


def test_metrics_of_a_stage_arrive_too(project):
    yaml = (
        (project.path / "dvc.yaml")
        .read_text()
        .replace(
            '    outs: ["out/${item.mix}_${item.fold}"]\n',
            '    outs: ["out/${item.mix}_${item.fold}"]\n'
            "    metrics:\n    - ${item.mix}_${item.fold}.json: {cache: false}\n",
        )
    )
    (project.path / "dvc.yaml").write_text(yaml)
    with open(project.path / "train.py", "a") as file:
        file.write("pathlib.Path(f'{mix}_{fold}.json').write_text('{\"loss\": 1}')\n")
    project.run("train@b*", "--jobs", "2")
    assert read_json(project.path / "b_1.json") == {"loss": 1}


def _start(project, *arguments, **environment):
    return subprocess.Popen(
        project.command(*arguments),
        cwd=project.path,
        env=project.environment | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _notes(project, count, process):
    """Wait for the first notes of trainings and return them; their suffix is the process number."""
    deadline = time.monotonic() + 120
    while len(notes := list(project.notes.iterdir())) < count:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    return notes


def _wait_for_the_end_of(processes):
    deadline = time.monotonic() + 20  # shorter than they would run
    while any(map(_runs, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_sigterm_also_ends_an_earlier_stage_that_runs_locally(project):
    (project.path / "prepare.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path(os.environ['NOTES'], f'prepare.{os.getpid()}').touch()\n"
        "time.sleep(600)\n"
    )
    process = _start(project, "train*")
    child = int(_notes(project, 1, process)[0].suffix[1:])
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    _wait_for_the_end_of([child])


def test_a_second_run_is_refused_also_while_jobs_of_a_killed_one_continue(project):
    process = _start(project, "train*", "--jobs", "2", SECONDS="600")
    children = [int(note.suffix[1:]) for note in _notes(project, 2, process)]
    refusal = "error: another run_matrix.py, or a job of a killed one, is active in this project"
    assert project.run("train*", expect=1).startswith(refusal)
    process.kill()
    process.communicate()
    assert project.run("train*", expect=1).startswith(refusal)
    for child in children:
        os.killpg(os.getpgid(child), signal.SIGTERM)
    _wait_for_the_end_of(children)


def test_stages_that_depend_on_each_other_are_refused(project):
    printed = project.run("train*", "gather", expect=1)
    assert printed.startswith("error: these stages cannot run in parallel; found: gather needs train@a-0; what to do:")


def test_the_environment_does_not_have_to_be_activated(project, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("git", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    project.run("train@a-0", PATH=str(tmp_path / "bin"))
    assert project.trained() == ["a_0"]


def test_partitions_of_a_gpu_are_listed_one_by_one(run_matrix, tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\necho 'GPU 0: Some GPU (UUID: GPU-a)'\n"
        "echo '  MIG 3g.20gb Device 0: (UUID: MIG-1)'\necho '  MIG 3g.20gb Device 1: (UUID: MIG-2)'\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run_matrix.visible_gpus({}) == ["MIG-1", "MIG-2"]
    assert run_matrix.visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []


def test_inputs_are_linked_unless_the_project_sets_cache_type(project):
    with open(project.path / "train.py", "a") as file:
        file.write("notes.joinpath('names').write_text(str(os.stat('data/numbers.txt').st_nlink))\n")
    project.run("train@a-0")
    assert (project.notes / "names").read_text() == "2"
    subprocess.run(
        ["dvc", "config", "--local", "cache.type", "copy"], cwd=project.path, env=project.environment, check=True
    )
    project.run("train@a-1")
    assert (project.notes / "names").read_text() == "1"


def test_more_threads_than_cores_are_reported(project):
    (project.path / "params.yaml").write_text("segmentation: {threads: 1000}\n")
    assert "note: 1 jobs with segmentation.threads 1000 have more threads" in project.run("train@a-0")
