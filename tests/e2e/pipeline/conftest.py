"""A fresh clone of the repository with a tiny cohort and tiny parameters, for tests through real commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from ruamel.yaml import YAML

TINY = {
    "slices.size": 32,
    "split.folds": 2,
    "gan.width": 4,
    "gan.downs": 2,
    "gan.blocks": 1,
    "gan.discriminator_width": 4,
    "gan.epochs": 2,
    "gan.checkpoint_every_epochs": 1,
    "gan.slices_per_case": 2,
    "gan.threads": 1,
    "segmentation.train": ["pre", "pre_synthetic"],
    "segmentation.folds": [0, 1],
    "segmentation.epochs": 1,
    "segmentation.evaluator": "pre",
    "segmentation.num_iterations_per_epoch": 2,
    "segmentation.threads": 1,
    "statistics.n_resamples": 100,
    "statistics.min_patients": 2,
}


class Clone:
    """A clone of the repository, and commands run in it as a user would."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def environment(self) -> dict[str, str]:
        """The user's, with the commands of this Python environment, without the paths of these tests, and with a home
        beside the clone, in which the repository's own remote lies."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return inherited | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.path.parent),
        }

    def run(self, *command: str, expect: int = 0) -> str:
        """Runs a command, checks its exit code, returns what it printed (both streams)."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        assert done.returncode == expect, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def set_params(self, **values) -> None:
        """Sets dotted names in params.yaml, comments kept."""
        yaml = YAML()
        content = yaml.load(self.path / "params.yaml")
        for name, value in values.items():
            *sections, key = name.split(".")
            target = content
            for section in sections:
                target = target[section]
            target[key] = value
        yaml.dump(content, self.path / "params.yaml")

    def restore(self) -> None:
        """Puts files and outputs back to the last commit."""
        self.run("git", "checkout", "-q", "--", ".")
        self.run("dvc", "checkout", "-q")

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)


def clone_repository(path: Path) -> Clone:
    """Clones the repository as it stands, with what is not committed yet laid over it."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, path], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-mo", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    clone = Clone(path)
    clone.run("git", "config", "user.name", "Test")
    clone.run("git", "config", "user.email", "test@localhost")
    return clone


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory) -> Clone:
    """A clone in which the whole pipeline ran once on a tiny phantom, everything committed."""
    clone = clone_repository(tmp_path_factory.mktemp("clone") / "repository")
    clone.set_params(**TINY)
    clone.run("python", "src/make_phantom.py", "--cases", "14", "--matrix", "32", "--slices", "8")
    clone.run("dvc", "add", "--quiet", "data")
    clone.printed = clone.run("dvc", "repro")
    clone.commit("A tiny study")
    return clone
