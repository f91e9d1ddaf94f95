"""Runs many stages at once, on this machine or by Slurm, and hands their results to `dvc repro`.

    python cluster/run_matrix.py 'train_segmentation*' --jobs 2
    python cluster/run_matrix.py 'train_segmentation*' --jobs 5 --slurm --sbatch="--partition=gpu --gres=gpu:1"

Each stage runs in a clone of the project as it stands and leaves its result in DVC's run cache, where the `dvc repro`
at the end finds it, which alone writes dvc.lock. A stage that fails costs itself only. Run the same command again: what
is done is not done again.
"""

import argparse
import fnmatch
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from pipeline.errors import InputError, run_stage

FOLDER = Path(".matrix")  # clones, logs and lists, all of it ignored by git and DVC
SECONDS_BETWEEN_LOOKS = 2  # at the queue of Slurm
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


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children as Ctrl-C does
    if not Path("dvc.yaml").is_file() or not Path(".git").exists():
        raise InputError("this is no project with dvc.yaml and .git", file=Path.cwd(), todo="run from its top folder")
    jobs = find_jobs(options.stages)
    try:
        before = sorted({name for job in jobs for name in job.before})
        if before:
            call("dvc", "repro", "--allow-missing", *before)  # whoever pulled their outputs alone has no data before
        jobs = [job for job in jobs if job.stage in unfinished([job.stage for job in jobs])]
        failed = run_all(jobs, options) if jobs else []
        done = [job.stage for job in jobs if job not in failed]
        if done:
            call("dvc", "repro", "--single-item", *done)
    except KeyboardInterrupt:
        print("ended; run the same command again to go on", file=sys.stderr)
        sys.exit(ENDED_BY_SIGNAL)
    print(f"{len(done)} stages done now, {len(failed)} failed")
    if failed:
        raise InputError("; ".join(f"{job.stage} failed, see {os.path.relpath(job.log)}" for job in failed),
                         todo="mend the cause and run the same command again, what is done is kept")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="+", help="names of stages, with wildcards: 'train_segmentation@p*'")
    parser.add_argument("--jobs", type=int, help="how many at once (default: one a GPU, or one)")
    parser.add_argument("--slurm", action="store_true", help="hand them to Slurm as one array")
    parser.add_argument("--sbatch", default="", help='options for sbatch: --sbatch="--partition=gpu --gres=gpu:1"')
    parser.add_argument("--scratch", type=Path, default=FOLDER / "clones",
                        help="where the clones go, such as a local disk of the nodes (default: in the project)")
    options = parser.parse_args()
    if options.jobs is not None and options.jobs < 1:
        parser.error("--jobs must be at least 1")
    return options


def find_jobs(patterns: Sequence[str]) -> list[Job]:
    """The stages whose names match any of the patterns, in the order of the pipeline's names."""
    from dvc.repo import Repo

    graph = Repo(".").index.graph
    stages = {stage.addressing: stage for stage in graph if not stage.is_data_source}
    found = [name for name in sorted(stages) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not found:
        raise InputError("no stage has such a name", found=" ".join(patterns), expected=", ".join(sorted(stages)))
    return [Job(name, tuple(sorted(stage.addressing for stage in graph.successors(stages[name])))) for name in found]


def unfinished(stages: Sequence[str]) -> set[str]:
    """Those of the stages that `dvc repro` would run."""
    import json

    said = subprocess.run(["dvc", "status", "--json", *stages], check=True, capture_output=True, text=True).stdout
    return set(json.loads(said)).intersection(stages)


def snapshot() -> str:
    """A commit of the project as it stands, all but what git ignores, which no branch knows; nothing else changes."""
    own = {"GIT_INDEX_FILE": str((FOLDER / "index").resolve())}
    shutil.copyfile(_read("git", "rev-parse", "--git-path", "index"), own["GIT_INDEX_FILE"])
    _read("git", "add", "--all", environment=own)
    tree = _read("git", "write-tree", environment=own)
    return _read("git", *AUTHOR, "commit-tree", tree, "-p", "HEAD", "-m", "The project as its stages were run")


def run_all(jobs: Sequence[Job], options: argparse.Namespace) -> list[Job]:
    """Runs every job; those that failed."""
    (FOLDER / "logs").mkdir(parents=True, exist_ok=True)
    commit, gpus = snapshot(), visible_gpus(os.environ)
    at_once = min(options.jobs or max(1, len(gpus)), len(jobs))
    print(f"{len(jobs)} stages, {at_once} at once{' by Slurm' if options.slurm else ''}; logs in {FOLDER / 'logs'}")
    commands = {job: work_command(job, commit, options.scratch) for job in jobs}
    start = run_by_slurm(commands, at_once, shlex.split(options.sbatch)) if options.slurm else run_here(
        commands, at_once, gpus)
    began, failed = time.monotonic(), []
    for count, (job, code) in enumerate(start, 1):
        print(f"[{count}/{len(jobs)}] {job.stage}: {'ok' if code == 0 else 'FAILED'} "
              f"after {time.monotonic() - began:.0f} s", flush=True)
        if code:
            failed.append(job)
    return failed


def work_command(job: Job, commit: str, scratch: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("work.py").resolve()), job.stage, "--head", str(Path.cwd()),
            "--commit", commit, "--scratch", str(scratch.resolve()), "--before", *job.before]


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that jobs may have: those of CUDA_VISIBLE_DEVICES where it is set, else those that nvidia-smi lists."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        return [name for name in environment["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def run_here(commands: Mapping[Job, list[str]], at_once: int, gpus: Sequence[str]) -> Iterable[tuple[Job, int]]:
    """Runs the jobs as processes, each with a GPU of its own where there are any; yields each with its exit code."""
    slots: queue.SimpleQueue = queue.SimpleQueue()
    for number in range(at_once):
        slots.put({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})
    running: set[subprocess.Popen] = set()
    stopped = False

    def run(job: Job) -> int:
        slot = slots.get()
        try:
            with open(job.log, "w", encoding="utf-8") as log:
                if stopped:
                    return ENDED_BY_SIGNAL
                process = subprocess.Popen(commands[job], env=os.environ | slot, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, start_new_session=True)
                running.add(process)
            code = process.wait()
            running.discard(process)
            return code
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(at_once) as pool:
        futures = {pool.submit(run, job): job for job in commands}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            stopped = True
            end_groups(running)
            raise


def end_groups(processes: Iterable[subprocess.Popen]) -> None:
    """Ends processes and all that they started: politely, so that they tidy up, then by force."""
    for how, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 0)):
        for process in list(processes):
            try:
                os.killpg(process.pid, how)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(process.poll() is None for process in list(processes)):
            time.sleep(0.1)


def run_by_slurm(commands: Mapping[Job, list[str]], at_once: int, extra: Sequence[str]) -> Iterable[tuple[Job, int]]:
    """Hands the jobs to Slurm as one array; yields each with its exit code, 1 for one that left none."""
    if not shutil.which("sbatch"):
        raise InputError("there is no Slurm here", found="no command sbatch", todo="leave --slurm out, or log in to "
                         "a node from where jobs can be submitted")
    folder, jobs = (FOLDER / "slurm").resolve(), list(commands)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, job in enumerate(jobs):
        job.log.unlink(missing_ok=True)
        (folder / f"{number}.sh").write_text(
            f"{shlex.join(commands[job])} > {shlex.quote(str(job.log))} 2>&1\necho $? > {number}.exit.new\n"
            f"mv {number}.exit.new {number}.exit\n")
    script = f"#!/bin/sh\ncd {shlex.quote(str(folder))} && sh $SLURM_ARRAY_TASK_ID.sh\n"
    (folder / "array.sh").write_text(script)
    submitted = subprocess.run(
        ["sbatch", "--parsable", f"--array=0-{len(jobs) - 1}%{at_once}", "--job-name=pre2post",
         f"--output={folder}/%a.out", *extra, str(folder / "array.sh")], capture_output=True, text=True)
    if submitted.returncode:
        raise InputError("Slurm refused the jobs", found=" ".join(submitted.stderr.split()),
                         todo="correct the options in --sbatch")
    array = submitted.stdout.strip().split(";")[0]
    try:
        yield from _follow(array, jobs, folder)
    except BaseException:
        subprocess.run(["scancel", array])
        raise


def _follow(array: str, jobs: Sequence[Job], folder: Path) -> Iterable[tuple[Job, int]]:
    """Yields jobs as they end, until none is in the queue any more."""
    left = dict(enumerate(jobs))
    while left:
        queued = _queued(array)
        for number in [number for number in left if (folder / f"{number}.exit").is_file()]:
            yield left.pop(number), int((folder / f"{number}.exit").read_text())
        if not queued:
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    for number, job in left.items():  # ended by Slurm: time limit, memory, a node that failed
        with open(job.log, "a", encoding="utf-8") as log:
            log.write(f"\nended by Slurm, job {array}_{number}; see {folder / f'{number}.out'}\n")
        yield job, 1


def _queued(array: str) -> bool:
    """Whether Slurm has any task of the array waiting or running. A server that does not answer counts as yes."""
    listed = subprocess.run(["squeue", "--noheader", "--jobs", array], capture_output=True, text=True)
    return bool(listed.stdout.strip()) if listed.returncode == 0 else "Invalid job id" not in listed.stderr


def call(*command: str) -> None:
    """Runs a command whose output the user sees. Raises InputError when it fails."""
    if subprocess.run(command).returncode:
        raise InputError(f"`{shlex.join(command)}` failed", todo="see above")


def _read(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"`{shlex.join(command)}` failed", found=" ".join(done.stderr.split()))
    return done.stdout.strip()


if __name__ == "__main__":
    run_stage(main)
