"""Run a real Slurm of one node, with its own configuration, ports and keys, and stop it at the end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "squeue", "scancel")
SBIN = "/usr/sbin:/sbin"
ALL = ["a_0", "a_1", "b_0", "b_1"]
LIMIT_S = 120  # a busy machine starts daemons and jobs slowly
# Always two cores; no cgroups and no accounting database, so that it runs in a container too.
CONFIGURATION = """ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000
PartitionName=short Nodes=localhost Default=YES MaxTime=60 State=UP
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def wait_until(true, what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"waited {LIMIT_S} s until {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def slurm():
    """Yield the environment in which Slurm's commands find the Slurm of these tests."""
    path = f"{os.environ['PATH']}:{SBIN}"
    missing = [name for name in (*DAEMONS, *CLIENTS) if not shutil.which(name, path=path)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install --no-install-recommends slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("slurmd must be started by root")
    # Munge needs a folder that all users can enter, unlike pytest's, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    controller, node = free_ports(2)
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, controller=controller, node=node))
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    munge = [
        f"--{name}={folder}/munge.{name.split('-')[0]}"
        for name in ("key-file", "pid-file", "log-file", "seed-file", "socket")
    ]
    daemons = []
    try:
        for command in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", "localhost"],
        ):
            with open(folder / f"{command[0]}.log", "w") as log:
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
            if command[0] == "munged":
                wait_until((folder / "munge.socket").exists, "munged has its socket")
        wait_until(lambda: "idle" in ask(environment, "sinfo", "--noheader", "--format=%t"), "the node is idle")
        yield environment
    finally:
        ask(environment, "scancel", "--user=root")
        wait_until(lambda: not ask(environment, "squeue", "--noheader"), "no job is left")
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            daemon.wait(timeout=LIMIT_S)
        shutil.rmtree(folder)


def ask(environment, *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(project, slurm):
    """Return the small project, whose jobs run in the Slurm of these tests."""
    project.environment |= {name: slurm[name] for name in ("SLURM_CONF",)}
    project.environment["PATH"] += f":{SBIN}"
    return project


def started(project) -> list[Path]:
    """Return the notes of the started trainings: <mix>_<fold>.<process>."""
    return sorted(project.notes.iterdir())


def is_alive(note: Path) -> bool:
    """Return whether the training that wrote this note runs and is not a zombie."""
    try:
        return Path(f"/proc/{note.suffix[1:]}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(project, *arguments: str, **environment: str) -> subprocess.Popen:
    """Start run_matrix.py with Slurm without waiting for it."""
    return subprocess.Popen(
        project.command("train*", "--slurm", *arguments),
        cwd=project.path,
        text=True,
        env=project.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def clones(project) -> list[Path]:
    return list((project.path / ".matrix/clones").iterdir())


def test_an_array_with_a_failure_then_the_missing_stages(project):
    (project.path / "broken.txt").write_text("b_0\n")
    printed = project.run("train*", "--slurm", "--jobs", "2", "--sbatch", "--partition=short --time=5", expect=1)
    assert project.trained() == ALL
    assert printed.splitlines()[-1].startswith("error: train@b-0 failed, see .matrix/logs/train@b-0.log")
    assert "this mix cannot be trained" in (project.path / ".matrix/logs/train@b-0.log").read_text()
    assert sorted(path.name for path in (project.path / "out").iterdir()) == ["a_0", "a_1", "b_1"]

    (project.path / "broken.txt").write_text("none of them\n")
    project.run("train*", "--slurm", "--jobs", "2")
    assert project.trained() == ALL  # the file is a dependency of all four
    assert not clones(project)
    project.run("train*", "--slurm")
    assert project.trained() == []


def test_a_task_that_slurm_ends_does_not_stop_the_others(project, slurm):
    process = start(project, "--jobs", "2", SECONDS="3")
    wait_until(lambda: len(started(project)) >= 1 or process.poll() is not None, "a training runs")
    victim = started(project)[0]
    names = ["a_0", "a_1", "b_0", "b_1"]
    array = ask(slurm, "squeue", "--noheader", "--format=%F").split()[0]
    subprocess.run(["scancel", f"{array}_{names.index(victim.stem)}"], env=slurm, check=True)
    printed = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 1, printed
    stage = f"train@{victim.stem.replace('_', '-')}"
    assert printed.splitlines()[-1].startswith(f"error: {stage} failed, see .matrix/logs/{stage}.log;")
    assert not is_alive(victim)
    assert {path.name for path in (project.path / "out").iterdir()} == set(names) - {victim.stem}
    project.trained()
    project.run("train*", "--slurm")
    assert project.trained() == [victim.stem]


def test_an_interrupt_cancels_the_array(project, slurm):
    process = start(project, "--jobs", "2", SECONDS="600")
    wait_until(lambda: len(started(project)) == 2 or process.poll() is not None, "two trainings run")
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 130, printed
    wait_until(lambda: not ask(slurm, "squeue", "--noheader"), "the array is gone")
    assert len(started(project)) == 2
    assert not any(map(is_alive, started(project)))
    assert not clones(project)
    assert not (project.path / "out").exists()


def test_clones_can_be_on_a_disk_of_the_node(project, tmp_path):
    with open(project.path / "train.py", "a") as file:
        file.write("notes.joinpath('where').write_text(os.getcwd())\n")
    (tmp_path / "scratch").mkdir()
    project.run("train@a-0", "--slurm", "--scratch", str(tmp_path / "scratch"))
    assert Path((project.notes / "where").read_text()).is_relative_to(tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())
    assert (project.path / "out/a_0").is_file()


def test_options_that_slurm_refuses_are_reported_in_one_line(project):
    printed = project.run("train*", "--slurm", "--sbatch=--partition=nowhere", expect=1)
    assert printed.splitlines()[-1].startswith("error: ")
    assert "invalid partition" in printed.splitlines()[-1]
    assert project.trained() == []


def test_an_array_that_outlives_its_head_blocks_another_run(project, slurm):
    process = start(project, "--jobs", "2", SECONDS="600")
    wait_until(lambda: len(started(project)) == 2 or process.poll() is not None, "two trainings run")
    process.kill()
    process.communicate()
    array = ask(slurm, "squeue", "--noheader", "--format=%F").split()[0]
    printed = project.run("train*", "--slurm", expect=1)
    assert printed.splitlines() == [
        f"error: an array of an earlier run is still active; found: Slurm job {array}; "
        f"what to do: wait for it, or `scancel {array}`"
    ]
    subprocess.run(["scancel", array], env=slurm, check=True)
    wait_until(lambda: not ask(slurm, "squeue", "--noheader"), "the array is gone")
