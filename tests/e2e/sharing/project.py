"""A small DVC project with a generator and its card."""

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import PRE2POST, code_of, environment, run
from dvc.repo import Repo
from remotes import Remote

from pre2post.pipeline.model_card import write_card

WEIGHTS = "generator.safetensors"
FOLDER, FILE = "generator", f"generator/{WEIGHTS}"
LIMIT = 60  # seconds for one command


class Project:
    """A DVC project, with the repository's own .dvc/config, and commands run in it as a user would."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def environment(self) -> dict[str, str]:
        """The user's, without what would let a command look elsewhere than it is told."""
        return environment(
            "AWS_",
            HOME=str(self.path.parent),  # the repository's own remote is there
            AWS_REQUEST_CHECKSUM_CALCULATION="when_required",  # the only kind that Swift supports
            AWS_MAX_ATTEMPTS="1",  # do not wait for a server that is down
            DVC_SITE_CACHE_DIR=str(self.path.with_name(f"{self.path.name}.site")),
        )

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command, cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment
        )

    def run(self, *command: str, expect: int | None = 0) -> str:
        """Run a command, check its exit code, and return both streams of its output."""
        printed = run(*command, cwd=self.path, expect=expect, env=self.environment, limit=LIMIT)
        assert "Traceback" not in printed, printed
        return printed

    def check_remote(self, *arguments: str, expect: int = 0) -> str:
        """Run `pre2post check-remote` with the code of this project."""
        env = self.environment | code_of(self.path)
        return run(*PRE2POST, "check-remote", *arguments, cwd=self.path, expect=expect, env=env, limit=LIMIT)

    def fail(self, *command: str) -> str:
        """As run, for a command that must fail, with any exit code."""
        return self.run(*command, expect=None)

    def pull(self) -> None:
        """`dvc pull` within this process, where only what it does is of interest: it takes a fifth of the time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.path)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with Repo() as repo:
                repo.pull([FOLDER])

    def use(self, remote: Remote, **changes: str) -> None:
        """Points the repository's own remote to a server, in .dvc/config.local."""
        options = {"url": remote.url, **remote.options, **changes}
        lines = [f"    {name} = {value}" for name, value in options.items()]
        (self.path / ".dvc/config.local").write_text("\n".join(["['remote \"shared\"']", *lines]) + "\n")

    def forget(self) -> None:
        """Leaves neither output nor cache, as in a new clone."""
        for name in (FOLDER, ".dvc/cache", ".dvc/tmp"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        shutil.rmtree(self.path.with_name(f"{self.path.name}.site"), ignore_errors=True)

    def content(self) -> bytes:
        return (self.path / FILE).read_bytes()


def save_generator_and_card(folder: Path) -> None:
    import torch

    from pre2post.pix2pixhd.architecture import Architecture
    from pre2post.pix2pixhd.checkpoint import save_generator
    from pre2post.pix2pixhd.generator import make_generator

    torch.manual_seed(1)
    save_generator(make_generator(Architecture(width=8, downs=1, blocks=1)), folder / Path(FILE).name)
    write_card(folder / Path(FILE).name, "a small generator")
