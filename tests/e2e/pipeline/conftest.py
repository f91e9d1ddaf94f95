"""A fresh clone of the repository with a tiny cohort and tiny parameters, for tests through real commands."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import PRE2POST, code_of, environment, run
from filelock import FileLock
from params_file import change_params
from repository import ROOT

TINY = {
    "slices.size": 32,
    "split.folds": 2,
    "split.test_fraction": 0.34,
    "split.multifocal": "keep",  # two patients train each fold
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
    "segmentation.min_validation_dice": 0,
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
        """The user's, with a home next to the clone, in which the repository's own remote is."""
        return environment(HOME=str(self.path.parent))

    def run(self, *command: str, expect: int = 0) -> str:
        """Run a command, check its exit code, and return both streams of its output."""
        return run(*command, cwd=self.path, expect=expect, env=self.environment)

    def pre2post(self, *arguments: str, expect: int = 0) -> str:
        """Run the command pre2post with the code of the clone."""
        env = self.environment | code_of(self.path)
        return run(*PRE2POST, *arguments, cwd=self.path, expect=expect, env=env)

    def set_params(self, **values) -> None:
        """Set dotted names in params.yaml, comments kept."""
        change_params(self.path / "params.yaml", values)

    def restore(self) -> None:
        """Puts files and outputs back to the last commit."""
        self.run("git", "read-tree", "HEAD")  # a failed experiment leaves an index that hides its params.yaml from Git
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
    """A clone in which the whole pipeline ran once on a tiny phantom, everything committed.

    The first worker that needs it makes it; every worker has a copy of its own, as tests change it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # that of all workers
    original = Clone(shared / "tiny_study" / "repository")
    with FileLock(shared / "tiny_study.lock"):
        if not original.path.exists():
            make_tiny_study(original.path)
    own = Clone(tmp_path_factory.mktemp("clone") / "repository")
    shutil.copytree(original.path, own.path, symlinks=True)
    return own


def make_tiny_study(path: Path) -> None:
    """Clone the repository, run the whole pipeline on a tiny phantom and commit. The folder appears last."""
    clone = clone_repository(path.with_name("unfinished"))
    clone.set_params(**TINY)
    clone.pre2post("phantom", "--cases", "14", "--matrix", "32", "--slices", "8")
    clone.run("dvc", "add", "--quiet", "data")
    clone.run("dvc", "repro")
    clone.commit("A tiny study")
    clone.path.rename(path)
