"""A small DVC project with a generator and its card."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
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
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONPATH"))}
        return inherited | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.path.parent),  # the repository's own remote lies there
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",  # Swift knows no other
            "AWS_MAX_ATTEMPTS": "1",  # no waiting for a server that is down
            "DVC_SITE_CACHE_DIR": str(self.path.with_name(f"{self.path.name}.site")),
        }

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command, cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment
        )

    def run(self, *command: str, expect: int = 0) -> str:
        """Runs a command, checks its exit code, returns what it printed (both streams)."""
        code, printed = self._finish(command)
        assert code == expect, f"{' '.join(command)}: {code}\n{printed}"
        return printed

    def fail(self, *command: str) -> str:
        """As run, for a command that must fail, with whatever code."""
        code, printed = self._finish(command)
        assert code, f"{' '.join(command)}: 0\n{printed}"
        return printed

    def _finish(self, command: Sequence[str]) -> tuple[int, str]:
        process = self.start(*command)
        printed, _ = process.communicate(timeout=LIMIT)
        assert "Traceback" not in printed, printed
        return process.returncode, printed

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
