"""Runs many stages at once, on this machine or by Slurm, and hands their results to `dvc repro`.

    python cluster/run_matrix.py 'train_segmentation*' --jobs 2
    python cluster/run_matrix.py 'train_segmentation*' --jobs 5 --slurm --sbatch="--partition=gpu --gres=gpu:1"

Each stage runs in a clone of the project as it stands and leaves its result in DVC's run cache, where the `dvc repro`
at the end finds it, which alone writes dvc.lock. A stage that fails costs itself only. Run the same command again: what
is done is not done again.
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

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import yaml

from pre2post.core.errors import InputError, run_stage

FOLDER = Path(".matrix")  # clones, logs and lists, all of it ignored by git and DVC
SECONDS_BETWEEN_LOOKS = 2  # at the queue of Slurm
SECONDS_TO_TIDY_UP = 10  # for processes that are asked to end, before they are forced
SECONDS_TO_CANCEL = 60  # for an array to leave the queue; Slurm gives its tasks half of that by default
DVC = (sys.executable, "-m", "dvc")  # of this environment, also where it is not activated
ENDED_BY_SIGNAL = 130  # exit code that shells give a command ended by Ctrl-C
AUTHOR = ("-c", "user.name=run_matrix", "-c", "user.email=run_matrix@localhost")  # of a snapshot that nobody keeps


@dataclass(frozen=True)
class Job:
    """A stage to run, the stages directly before it, and the file that tells all it says."""

    stage: str
    before: tuple[str, ...]

    @property
    def log(self) -> Path:
        return FOLDER.resolve() / "logs" / f"{self.stage.replace('/', '_')}.log"


class Children:
    """Processes in groups of their own, all of which end with this one.

    SIGINT and SIGTERM are noted only and acted upon at the next look: raised in the middle of a start, they would leave
    a child that nobody knows of.
    """

    def __init__(self):
        self.running: set[subprocess.Popen] = set()
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, *_) -> None:
        self.stopped = True

    def start(self, command: Sequence[str], **options) -> subprocess.Popen:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        self.running.add(process)
        return process

    def look(self) -> set[subprocess.Popen]:
        """Those that have ended since the last look. Raises KeyboardInterrupt when a signal has come."""
        time.sleep(0.1)
        if self.stopped:
            raise KeyboardInterrupt
        ended = {process for process in self.running if process.poll() is not None}
        self.running -= ended
        return ended

    def call(self, *command: str) -> None:
        """Runs a command whose output the user sees. Raises InputError when it fails."""
        process = self.start(command)
        while process not in self.look():
            pass
        if process.returncode:
            raise InputError(f"`{shlex.join(command)}` failed", hint="see above")

    def end(self) -> None:
        """Ends what still runs and all that it started: politely, so that it tidies up, then by force."""
        _signal_groups(self.running, signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_TIDY_UP
        while time.monotonic() < deadline and any(process.poll() is None for process in self.running):
            time.sleep(0.1)
        _signal_groups(self.running, signal.SIGKILL)


def _signal_groups(processes: Iterable[subprocess.Popen], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def main() -> None:
    options = _options()
    # Stages say `python`, also where this environment is not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if not Path("dvc.yaml").is_file() or not Path(".git").exists():
        raise InputError("this is no project with dvc.yaml and .git", file=Path.cwd(), hint="run from its top folder")
    jobs = find_jobs(options.stages)
    children, lock = Children(), alone()
    try:
        before = sorted({name for job in jobs for name in job.before})
        if before:  # whoever pulled their outputs alone has no data before
            children.call(*DVC, "repro", "--allow-missing", *before)
        wanted = unfinished([job.stage for job in jobs])
        jobs = [job for job in jobs if job.stage in wanted]
        failed = run_all(jobs, options, children, lock) if jobs else []
        done = [job.stage for job in jobs if job not in failed]
        if done:
            children.call(*DVC, "repro", "--single-item", *done)
    except KeyboardInterrupt:
        print("ended; run the same command again to go on", file=sys.stderr)
        sys.exit(ENDED_BY_SIGNAL)
    finally:
        children.end()
    print(f"done now: {len(done)}, failed: {len(failed)}")
    if failed:
        raise InputError(
            "; ".join(f"{job.stage} failed, see {os.path.relpath(job.log)}" for job in failed),
            hint="mend the cause and run the same command again, what is done is kept",
        )


def alone() -> int:
    """Makes sure that no other run is at work in this project: two would train the same in the same folders.

    Returns the file that is locked. Jobs here inherit it, so that it stays locked should they outlive this process; an
    array of Slurm that does so is found by its number.
    """
    FOLDER.mkdir(exist_ok=True)
    lock = os.open(FOLDER / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            "another run_matrix.py, or a job of one that was killed, is at work in this project",
            hint=f"wait for it; `fuser {FOLDER / 'lock'}` says which",
        ) from None
    number = FOLDER / "slurm" / "array"
    if number.is_file() and shutil.which("squeue") and _queued(array := number.read_text()):
        raise InputError(
            "an array of an earlier run is still at work",
            found=f"Slurm's job {array}",
            hint=f"wait for it, or `scancel {array}`",
        )
    return lock


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="+", help="names of stages, with wildcards: 'train_segmentation@p*'")
    parser.add_argument("--jobs", type=int, help="how many at once (default: one a GPU, or one)")
    parser.add_argument("--slurm", action="store_true", help="hand them to Slurm as one array")
    parser.add_argument("--sbatch", default="", help='options for sbatch: --sbatch="--partition=gpu --gres=gpu:1"')
    parser.add_argument(
        "--scratch",
        type=Path,
        default=FOLDER / "clones",
        help="where the clones go, such as a local disk of the nodes (default: in the project)",
    )
    options = parser.parse_args()
    if options.jobs is not None and options.jobs < 1:
        parser.error("--jobs must be at least 1")
    return options


def find_jobs(patterns: Sequence[str]) -> list[Job]:
    """The stages whose names match any of the patterns, sorted by name. None may need another of them."""
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        graph = Repo(".").index.graph  # from each stage to those directly before it
    except DvcException as error:
        raise InputError("DVC cannot read this project", found=" ".join(str(error).split())) from None
    stages = {stage.addressing: stage for stage in graph if not stage.is_data_source}
    found = [name for name in sorted(stages) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not found:
        raise InputError("no stage has such a name", found=" ".join(patterns), expected=", ".join(sorted(stages)))
    for name in found:
        needed = {stage.addressing for stage in networkx.descendants(graph, stages[name])}.intersection(found)
        if needed:
            raise InputError(
                "these stages cannot run side by side",
                found=f"{name} needs {min(needed)}",
                hint="run them in two commands, one after the other",
            )
    return [Job(name, tuple(sorted(stage.addressing for stage in graph.successors(stages[name])))) for name in found]


def unfinished(stages: Sequence[str]) -> set[str]:
    """Those of the stages that `dvc repro` would run."""
    return set(json.loads(_read(*DVC, "status", "--json", *stages))).intersection(stages)


def snapshot() -> str:
    """A commit of the project as it stands, all but what git ignores, which no branch knows; nothing else changes."""
    own = {"GIT_INDEX_FILE": str((FOLDER / "index").resolve())}
    shutil.copyfile(_read("git", "rev-parse", "--git-path", "index"), own["GIT_INDEX_FILE"])
    _read("git", "add", "--all", environment=own)
    tree = _read("git", "write-tree", environment=own)
    return _read("git", *AUTHOR, "commit-tree", tree, "-p", "HEAD", "-m", "The project as its stages were run")


def run_all(jobs: Sequence[Job], options: argparse.Namespace, children: Children, lock: int) -> list[Job]:
    """Runs every job; those that failed."""
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
    """Says when the jobs' threads exceed the cores. Their number is part of a result's identity: it is not changed."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")) if Path("params.yaml").is_file() else {}
    threads, cores = params.get("segmentation", {}).get("threads", 1), len(os.sched_getaffinity(0))
    if at_once * threads > cores:
        print(
            f"note: {at_once} jobs with segmentation.threads {threads} each have more threads than the {cores} cores "
            "here, and will be slower for it"
        )


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that jobs may have: those of CUDA_VISIBLE_DEVICES where it is set, else those that nvidia-smi lists.

    By their UUID, since CUDA counts them in another order than nvidia-smi; parts of divided GPUs instead of the whole.
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
    """Runs the jobs as processes, each with a GPU of its own where there are any; yields each with its exit code."""
    slots = [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {} for number in range(at_once)]
    waiting, running = list(commands), {}
    while waiting or running:
        while waiting and slots:
            job, slot = waiting.pop(0), slots.pop(0)
            with open(job.log, "w", encoding="utf-8") as log:
                process = children.start(
                    commands[job], env=os.environ | slot, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock]
                )
            running[process] = job, slot
        for process in children.look():
            job, slot = running.pop(process)
            slots.append(slot)
            yield job, process.returncode


def run_by_slurm(
    commands: Mapping[Job, list[str]], at_once: int, extra: Sequence[str], children: Children
) -> Iterable[tuple[Job, int]]:
    """Hands the jobs to Slurm as one array; yields each with its exit code, 1 for one that left none."""
    if not shutil.which("sbatch"):
        raise InputError(
            "there is no Slurm here",
            found="no command sbatch",
            hint="leave --slurm out, or log in to a node from where jobs can be submitted",
        )
    folder, jobs = (FOLDER / "slurm").resolve(), list(commands)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, job in enumerate(jobs):
        job.log.unlink(missing_ok=True)
        command = [*commands[job], "--exit-code", str(folder / f"{number}.exit")]
        # exec: no shell is left that would die of Slurm's signal before the job has removed its clone.
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
            "Slurm refused the jobs", found=" ".join(submitted.stderr.split()), hint="correct the options in --sbatch"
        )
    array = submitted.stdout.strip().split(";")[0]
    (folder / "array").write_text(array)
    try:
        yield from _follow(array, jobs, folder, children)
    except BaseException:
        subprocess.run(["scancel", array], start_new_session=True)
        deadline = time.monotonic() + SECONDS_TO_CANCEL
        while _queued(array) and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise


def _follow(array: str, jobs: Sequence[Job], folder: Path, children: Children) -> Iterable[tuple[Job, int]]:
    """Yields jobs as they end, until none is in the queue any more."""
    left = dict(enumerate(jobs))
    while left:
        queued = _queued(array)
        for number in [number for number in left if (folder / f"{number}.exit").is_file()]:
            yield left.pop(number), int((folder / f"{number}.exit").read_text())
        if not queued:
            break
        next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        while time.monotonic() < next_look:
            children.look()
    for number, job in left.items():  # ended by Slurm: time limit, memory, a node that failed
        with open(job.log, "a", encoding="utf-8") as log:
            log.write(f"\nended by Slurm, job {array}_{number}; see {folder / f'{number}.out'}\n")
        yield job, 1


def _queued(array: str) -> bool:
    """Whether Slurm has any task of the array waiting or running. A server that does not answer counts as yes."""
    listed = subprocess.run(["squeue", "--noheader", "--jobs", array], capture_output=True, text=True)
    return bool(listed.stdout.strip()) if listed.returncode == 0 else "Invalid job id" not in listed.stderr


def _read(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"`{shlex.join(command)}` failed", found=" ".join(done.stderr.split()))
    return done.stdout.strip()


if __name__ == "__main__":
    run_stage(main)
