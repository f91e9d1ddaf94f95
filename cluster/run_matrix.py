"""Run many stages in parallel, on this machine or by Slurm, and hand their results to `dvc repro`.

    python cluster/run_matrix.py 'train_segmentation*' --jobs 2
    python cluster/run_matrix.py 'train_segmentation*' --jobs 5 --slurm --sbatch="--partition=gpu --gres=gpu:1"

Each stage runs in a clone of the project, with its uncommitted changes, and leaves its result in DVC's run cache. The
final `dvc repro` takes the results from there; it alone writes dvc.lock. A stage that fails does not stop the others.
Run the same command again to run only the missing stages.
"""

import argparse
import fcntl
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import yaml

from pre2post.core.errors import InputError, run_stage

FOLDER = Path(".matrix")  # clones, logs and lists, ignored by git and DVC
SECONDS_BETWEEN_POLLS = 2  # of the queue of Slurm
SECONDS_TO_CLEAN_UP = 10  # for processes to end after SIGTERM, before SIGKILL
SECONDS_TO_CANCEL = 60  # for an array to leave the queue; Slurm gives its tasks half of that by default
DVC = (sys.executable, "-m", "dvc")  # of this environment, even if it is not activated
ENDED_BY_SIGNAL = 130  # exit code of a command ended by Ctrl-C in a shell
AUTHOR = ("-c", "user.name=run_matrix", "-c", "user.email=run_matrix@localhost")  # of the temporary snapshot


@dataclass(frozen=True)
class Job:
    """A stage to run, the stages directly before it, and the log file of its output."""

    stage: str
    before: tuple[str, ...]

    @property
    def log(self) -> Path:
        return FOLDER.resolve() / "logs" / f"{self.stage.replace('/', '_')}.log"


class Children:
    """Child processes, each with its own process group, which all end with this process.

    SIGINT and SIGTERM take effect at the next poll: during a start, they would leave an unknown child.
    """

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[Any]] = set()
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        process: subprocess.Popen[Any] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, **options
        )
        self.running.add(process)
        return process

    def poll(self) -> set[subprocess.Popen[Any]]:
        """Return the processes that ended since the last poll. Raises KeyboardInterrupt after a signal."""
        time.sleep(0.1)
        if self.stopped:
            raise KeyboardInterrupt
        ended = {process for process in self.running if process.poll() is not None}
        self.running -= ended
        return ended

    def call(self, *command: str) -> None:
        """Run a command with its output on the terminal. Raises InputError if it fails."""
        process = self.start(command)
        while process not in self.poll():
            pass
        if process.returncode:
            raise InputError(f"`{shlex.join(command)}` failed", hint="see its output above")

    def end(self) -> None:
        """End the running processes and their children: first by SIGTERM, so that they clean up, then by SIGKILL."""
        _signal_groups(self.running, signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_CLEAN_UP
        while time.monotonic() < deadline and any(process.poll() is None for process in self.running):
            time.sleep(0.1)
        _signal_groups(self.running, signal.SIGKILL)


def _signal_groups(processes: Iterable[subprocess.Popen[Any]], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def main() -> None:
    options = _options()
    # Stages call `python`, even if this environment is not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if not Path("dvc.yaml").is_file() or not Path(".git").exists():
        raise InputError(
            "this folder has no dvc.yaml and .git", file=Path.cwd(), hint="run from the project's top folder"
        )
    jobs = find_jobs(options.stages)
    children, lock = Children(), lock_project()
    try:
        before = sorted({name for job in jobs for name in job.before})
        if before:  # --allow-missing: their inputs are not needed if only their outputs were pulled
            children.call(*DVC, "repro", "--allow-missing", *before)
        wanted = unfinished([job.stage for job in jobs])
        jobs = [job for job in jobs if job.stage in wanted]
        failed = run_all(jobs, options, children, lock) if jobs else []
        done = [job.stage for job in jobs if job not in failed]
        if done:
            children.call(*DVC, "repro", "--single-item", *done)
    except KeyboardInterrupt:
        print("ended; run the same command again to continue", file=sys.stderr)
        sys.exit(ENDED_BY_SIGNAL)
    finally:
        children.end()
    print(f"done now: {len(done)}, failed: {len(failed)}")
    if failed:
        raise InputError(
            "; ".join(f"{job.stage} failed, see {os.path.relpath(job.log)}" for job in failed),
            hint="fix the cause and run the same command again; finished stages are kept",
        )


def lock_project() -> int:
    """Lock the project against other runs, which would use the same folders, and return the descriptor of the lock.

    Local jobs inherit it, so the project stays locked if they outlive this process. A Slurm array that does is found by
    its number.

    Raises InputError if another run, or an array of one, is active.
    """
    FOLDER.mkdir(exist_ok=True)
    lock = os.open(FOLDER / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            "another run_matrix.py, or a job of a killed one, is active in this project",
            hint=f"wait for it; `fuser {FOLDER / 'lock'}` shows the process",
        ) from None
    number = FOLDER / "slurm" / "array"
    if number.is_file() and shutil.which("squeue") and _queued(array := number.read_text()):
        raise InputError(
            "an array of an earlier run is still active",
            found=f"Slurm job {array}",
            hint=f"wait for it, or `scancel {array}`",
        )
    return lock


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="+", help="names of stages, with wildcards, such as 'train_segmentation@p*'")
    parser.add_argument("--jobs", type=int, help="parallel jobs (default: one per GPU, or one)")
    parser.add_argument("--slurm", action="store_true", help="run the jobs as one Slurm array")
    parser.add_argument(
        "--sbatch", default="", help='options of sbatch, such as --sbatch="--partition=gpu --gres=gpu:1"'
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=FOLDER / "clones",
        help="folder of the clones, such as a local disk of the nodes (default: in the project)",
    )
    options = parser.parse_args()
    if options.jobs is not None and options.jobs < 1:
        parser.error("--jobs must be at least 1")
    return options


def find_jobs(patterns: Sequence[str]) -> list[Job]:
    """Return the stages whose names match one of the patterns, sorted by name.

    Raises InputError if no name matches, or a stage depends on another one.
    """
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        graph = Repo(".").index.graph  # edges from each stage to the stages directly before it
    except DvcException as error:
        raise InputError("DVC cannot read this project", found=" ".join(str(error).split())) from None
    stages = {stage.addressing: stage for stage in graph if not stage.is_data_source}
    found = [name for name in sorted(stages) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not found:
        raise InputError("no stage has this name", found=" ".join(patterns), expected=", ".join(sorted(stages)))
    for name in found:
        needed = {stage.addressing for stage in networkx.descendants(graph, stages[name])}.intersection(found)
        if needed:
            raise InputError(
                "these stages cannot run in parallel",
                found=f"{name} needs {min(needed)}",
                hint="run them one after the other, in two commands",
            )
    return [Job(name, tuple(sorted(stage.addressing for stage in graph.successors(stages[name])))) for name in found]


def unfinished(stages: Sequence[str]) -> set[str]:
    """Return the stages that `dvc repro` would run."""
    return set(json.loads(_read(*DVC, "status", "--json", *stages))).intersection(stages)


def snapshot() -> str:
    """Commit the project with its uncommitted changes, without ignored files, outside all branches; return the hash.

    A separate index keeps the user's one unchanged.
    """
    index = {"GIT_INDEX_FILE": str((FOLDER / "index").resolve())}
    shutil.copyfile(_read("git", "rev-parse", "--git-path", "index"), index["GIT_INDEX_FILE"])
    _read("git", "add", "--all", environment=index)
    tree = _read("git", "write-tree", environment=index)
    return _read("git", *AUTHOR, "commit-tree", tree, "-p", "HEAD", "-m", "The project as its stages were run")


def run_all(jobs: Sequence[Job], options: argparse.Namespace, children: Children, lock: int) -> list[Job]:
    """Run every job and return the failed ones."""
    (FOLDER / "logs").mkdir(parents=True, exist_ok=True)
    commit, gpus = snapshot(), visible_gpus(os.environ)
    at_once = min(options.jobs or max(1, len(gpus)), len(jobs))
    print(f"{len(jobs)} stages, {at_once} at once{' by Slurm' if options.slurm else ''}; logs in {FOLDER / 'logs'}")
    commands = {job: work_command(job, commit, options.scratch) for job in jobs}
    if options.slurm:
        ended = run_by_slurm(commands, at_once, shlex.split(options.sbatch), children)
    else:
        _warn_of_threads(at_once)
        ended = run_here(commands, at_once, gpus, children, lock)
    began, failed = time.monotonic(), []
    for count, (job, code) in enumerate(ended, 1):
        print(
            f"[{count}/{len(jobs)}] {job.stage}: {'ok' if code == 0 else 'FAILED'} "
            f"after {time.monotonic() - began:.0f} s",
            flush=True,
        )
        if code:
            failed.append(job)
    return failed


def work_command(job: Job, commit: str, scratch: Path) -> list[str]:
    return [
        sys.executable,
        str(Path(__file__).with_name("work.py").resolve()),
        job.stage,
        "--head",
        str(Path.cwd()),
        "--commit",
        commit,
        "--scratch",
        str(scratch.resolve()),
        "--before",
        *job.before,
    ]


def _warn_of_threads(at_once: int) -> None:
    """Print a note if the jobs' threads exceed the cores. Results depend on the number of threads, so keep it."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")) if Path("params.yaml").is_file() else {}
    threads, cores = params.get("segmentation", {}).get("threads", 1), len(os.sched_getaffinity(0))
    if at_once * threads > cores:
        print(
            f"note: {at_once} jobs with segmentation.threads {threads} have more threads than the {cores} cores, which "
            "slows them down"
        )


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs for jobs: those of CUDA_VISIBLE_DEVICES if it is set, else those that nvidia-smi lists.

    They are named by UUID, since CUDA and nvidia-smi number them differently. Partitioned GPUs are listed by partition.
    """
    if "CUDA_VISIBLE_DEVICES" in environment:
        return [name for name in environment["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    parts = re.findall(r"UUID: (MIG-[^)]+)", listed)
    return parts or re.findall(r"UUID: (GPU-[^)]+)", listed)


def run_here(
    commands: Mapping[Job, list[str]], at_once: int, gpus: Sequence[str], children: Children, lock: int
) -> Iterable[tuple[Job, int]]:
    """Run the jobs as processes, each with its own GPU if there are GPUs; yield each job with its exit code."""
    slots = [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {} for number in range(at_once)]
    waiting = list(commands)
    running: dict[subprocess.Popen[Any], tuple[Job, dict[str, str]]] = {}
    while waiting or running:
        while waiting and slots:
            job, slot = waiting.pop(0), slots.pop(0)
            with open(job.log, "w", encoding="utf-8") as log:
                process = children.start(
                    commands[job], env=os.environ | slot, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock]
                )
            running[process] = job, slot
        for process in children.poll():
            job, slot = running.pop(process)
            slots.append(slot)
            yield job, process.returncode


def run_by_slurm(
    commands: Mapping[Job, list[str]], at_once: int, extra: Sequence[str], children: Children
) -> Iterable[tuple[Job, int]]:
    """Submit the jobs to Slurm as one array; yield each job with its exit code, 1 if it left none."""
    if not shutil.which("sbatch"):
        raise InputError(
            "Slurm is not installed on this machine",
            found="no command sbatch",
            hint="omit --slurm, or log in to a node that can submit jobs",
        )
    folder, jobs = (FOLDER / "slurm").resolve(), list(commands)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, job in enumerate(jobs):
        job.log.unlink(missing_ok=True)
        command = [*commands[job], "--exit-code", str(folder / f"{number}.exit")]
        # exec: a shell would end on Slurm's signal before the job has removed its clone.
        (folder / f"{number}.sh").write_text(f"exec {shlex.join(command)} > {shlex.quote(str(job.log))} 2>&1\n")
    (folder / "array.sh").write_text(f"#!/bin/sh\nexec sh {shlex.quote(str(folder))}/$SLURM_ARRAY_TASK_ID.sh\n")
    submitted = subprocess.run(
        [
            "sbatch",
            "--job-name=pre2post",
            *extra,
            "--parsable",
            f"--array=0-{len(jobs) - 1}%{at_once}",
            f"--output={folder}/%a.out",
            str(folder / "array.sh"),
        ],
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    if submitted.returncode:
        raise InputError(
            "Slurm refused the jobs", found=" ".join(submitted.stderr.split()), hint="correct the options of --sbatch"
        )
    array = submitted.stdout.strip().split(";")[0]
    (folder / "array").write_text(array)
    try:
        yield from _follow(array, jobs, folder, children)
    except BaseException:
        subprocess.run(["scancel", array], start_new_session=True)
        deadline = time.monotonic() + SECONDS_TO_CANCEL
        while _queued(array) and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_POLLS)
        raise


def _follow(array: str, jobs: Sequence[Job], folder: Path, children: Children) -> Iterable[tuple[Job, int]]:
    """Yield jobs as they end, until the queue holds none."""
    left = dict(enumerate(jobs))
    while left:
        queued = _queued(array)
        for number in [number for number in left if (folder / f"{number}.exit").is_file()]:
            yield left.pop(number), int((folder / f"{number}.exit").read_text())
        if not queued:
            break
        next_poll = time.monotonic() + SECONDS_BETWEEN_POLLS
        while time.monotonic() < next_poll:
            children.poll()
    for number, job in left.items():  # ended by Slurm: time limit, memory, node failure
        with open(job.log, "a", encoding="utf-8") as log:
            log.write(f"\nended by Slurm, job {array}_{number}; see {folder / f'{number}.out'}\n")
        yield job, 1


def _queued(array: str) -> bool:
    """Return whether a task of the array is waiting or running. If the server does not answer, return True."""
    listed = subprocess.run(["squeue", "--noheader", "--jobs", array], capture_output=True, text=True)
    return bool(listed.stdout.strip()) if listed.returncode == 0 else "Invalid job id" not in listed.stderr


def _read(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"`{shlex.join(command)}` failed", found=" ".join(done.stderr.split()))
    return done.stdout.strip()


if __name__ == "__main__":
    run_stage(main)
