"""A small project with a matrix of four fast stages after a stage that writes their data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

RUN_MATRIX = ROOT / "cluster" / "run_matrix.py"
DVC_YAML = """stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py]
    outs: [data]
  train:
    matrix: {mix: [a, b], fold: [0, 1]}
    cmd: python train.py ${item.mix} ${item.fold}
    deps: [data/numbers.txt, train.py, broken.txt]
    outs: ["out/${item.mix}_${item.fold}"]
  gather:
    cmd: cat out/* > all.txt
    deps: [out]
    outs: [all.txt]
"""
PREPARE = "import pathlib; p = pathlib.Path('data'); p.mkdir(); (p / 'numbers.txt').write_text('1 2 3')\n"
TRAIN = """import os, pathlib, sys, time
mix, fold = sys.argv[1:]
notes = pathlib.Path(os.environ["NOTES"])
notes.joinpath(f"{mix}_{fold}.{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
if f"{mix}_{fold}" in pathlib.Path("broken.txt").read_text():
    sys.exit("this mix cannot be trained")
time.sleep(float(os.environ.get("SECONDS", "0")))
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path(f"out/{mix}_{fold}").write_text(mix + fold + pathlib.Path("data/numbers.txt").read_text())
"""


class Project:
    """The project, and the commands that a user runs in it. Each training writes a note."""

    def __init__(self, path: Path):
        self.path, self.notes = path / "project", path / "notes"
        self.notes.mkdir(parents=True)
        self.path.mkdir()
        files = {
            "dvc.yaml": DVC_YAML,
            "prepare.py": PREPARE,
            "train.py": TRAIN,
            "broken.txt": "none\n",
            ".gitignore": "/data\n/out\n/all.txt\n/.matrix\n/.resume\n",
            ".dvcignore": ".matrix\n.resume\n",
        }
        for name, content in files.items():
            (self.path / name).write_text(content)
        self.environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NOTES": str(self.notes),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(path / "site"),
        }
        for command in (
            ["git", "init", "-q"],
            ["git", "config", "user.name", "Test"],
            ["git", "config", "user.email", "test@localhost"],
            ["dvc", "init", "-q"],
            ["git", "add", "-A"],
            ["git", "commit", "-qm", "A project"],
        ):
            subprocess.run(command, cwd=self.path, env=self.environment, check=True)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(RUN_MATRIX), *arguments]

    def run(self, *arguments: str, expect: int = 0, **environment: str) -> str:
        """Run run_matrix.py and return both streams of its output."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        assert done.returncode == expect, done.stdout
        return done.stdout

    def trained(self) -> list[str]:
        """Return the trainings started since the last call, sorted, and remove their notes."""
        found = sorted(self.notes.iterdir())
        names = [note.stem for note in found]
        for note in found:
            note.unlink()
        return names


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)
