"""The hand-over to Slurm, against a real one that the test starts where it may."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
PACKAGES = "apt-get install --no-install-recommends slurm-wlm munge"
PATIENCE = 60  # seconds for the node to come up
CONFIGURATION = """ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why no Slurm can be started here; None where it can."""
    missing = [name for name in DAEMONS if not _which(name)]
    if missing:
        return f"Slurm is not installed (no {missing[0]}); on Debian: {PACKAGES}"
    if os.geteuid() != 0:
        return "only root may start Slurm's daemons"
    try:
        pwd.getpwnam("munge")
    except KeyError:
        return "there is no user munge"
    return None


class Slurm:
    """Started on entering, stopped on leaving; `environment` is what commands need to find it."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self) -> "Slurm":
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        ports = dict(zip(("controller", "node"), _free_ports(2), strict=True))
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(folder=self.folder, cpus=os.cpu_count(), **ports))
        try:
            self._start_munge()
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D", "-N", "localhost")
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        for path in (self.folder, key):
            shutil.chown(path, "munge", "munge")
        key.chmod(0o400)
        self._start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.socket",
                    f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                    f"--seed-file={self.folder}/munged.seed", "--num-threads=1", user="munge")

    def _start(self, name: str, *arguments: str, user: str | None = None) -> None:
        with open(self.folder / f"{name}.out", "w") as log:
            self.processes.append(subprocess.Popen([_which(name), *arguments], env=os.environ | self.environment,
                                                   user=user, stdout=log, stderr=subprocess.STDOUT))

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while "idle" not in self._ask("sinfo", "-h", "-o", "%T"):
            if time.monotonic() > deadline:
                logs = "\n".join(file.read_text(errors="replace")[-1000:] for file in self.folder.glob("*.out"))
                raise RuntimeError(f"Slurm did not come up:\n{logs}")
            time.sleep(0.5)

    def _ask(self, *command: str) -> str:
        return subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True).stdout


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
ALL = ["a_0", "a_1", "b_0", "b_1"]


@pytest.fixture(scope="module")
def slurm():
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short, since the name of a socket may not be long
    folder.chmod(0o755)
    with Slurm(folder) as running:
        yield running


def queue(slurm, project):
    return subprocess.run(["squeue", "-h"], env=project.environment | slurm.environment, capture_output=True,
                          text=True).stdout


def test_one_task_of_the_array_fails_and_the_next_run_finishes(project, slurm):
    (project.path / "broken.txt").write_text("a_1\n")
    printed = project.run("train*", "--slurm", "--jobs", "2", expect=1, **slurm.environment)
    assert project.trained() == ALL
    assert "4 stages, 2 at once by Slurm" in printed and "3 stages done now, 1 failed" in printed
    assert "error: train@a-1 failed, see .matrix/logs/train@a-1.log" in printed
    assert "this setting cannot be trained" in (project.path / ".matrix/logs/train@a-1.log").read_text()

    (project.path / "broken.txt").write_text("none\n")
    project.run("train@a-1", "--slurm", "--sbatch=--time=5 --partition=main", **slurm.environment)
    assert project.trained() == ["a_1"]
    subprocess.run(["dvc", "repro"], cwd=project.path, env=project.environment, check=True)
    assert (project.path / "all.txt").read_text().count("1 2 3") == 4
    assert queue(slurm, project) == "" and list((project.path / ".matrix/clones").iterdir()) == []


def test_a_task_that_slurm_ends_is_a_failed_one(project, slurm):
    process = subprocess.Popen(project.command("train@a-0", "--slurm"), cwd=project.path, text=True,
                               env=project.environment | slurm.environment | {"SECONDS": "600"},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _wait_for(lambda: list(project.notes.iterdir()), process)
    subprocess.run(["scancel", "--name=pre2post"], env=project.environment | slurm.environment, check=True)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "train@a-0 failed" in printed
    assert "ended by Slurm" in (project.path / ".matrix/logs/train@a-0.log").read_text()


def test_an_interrupt_takes_the_array_out_of_the_queue(project, slurm):
    process = subprocess.Popen(project.command("train*", "--slurm", "--jobs", "1"), cwd=project.path, text=True,
                               env=project.environment | slurm.environment | {"SECONDS": "600"},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _wait_for(lambda: list(project.notes.iterdir()), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    _wait_for(lambda: queue(slurm, project) == "")


def test_options_that_slurm_refuses_are_told(project, slurm):
    last = project.run("train*", "--slurm", "--sbatch=--partition=nowhere", expect=1,
                       **slurm.environment).splitlines()[-1]
    assert last.startswith("error: Slurm refused the jobs; found: sbatch: error: invalid partition")


def _wait_for(condition, process=None):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline and (process is None or process.poll() is None)
        time.sleep(0.2)
