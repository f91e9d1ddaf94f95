"""The owner's project, a second clone of it, and remotes on servers of loopback."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import remotes
import yaml
from project import FOLDER, Project, save_generator_and_card
from repository import ROOT


@pytest.fixture(scope="session")
def owner(tmp_path_factory) -> Project:
    """The project of who shares: its generator is tracked, committed and in the cache."""
    project = Project(tmp_path_factory.mktemp("sharing") / "owner")
    project.path.mkdir()
    project.run("git", "init", "-q")
    project.run("git", "config", "user.name", "Test")
    project.run("git", "config", "user.email", "test@localhost")
    project.run("dvc", "init", "-q")
    shutil.copy(ROOT / ".dvc/config", project.path / ".dvc/config")
    save_generator_and_card(project.path / FOLDER)
    shutil.copytree(ROOT / "src", project.path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    project.run("dvc", "add", "-q", FOLDER)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "A generator")
    return project


@pytest.fixture(scope="session", params=remotes.KINDS, ids=lambda kind: f"{kind}-{remotes.SERVERS[kind]}")
def remote(request, tmp_path_factory, owner) -> Iterator[remotes.Remote]:
    """A remote to which the owner has pushed."""
    if request.param == "ssh" and remotes.SSHD is None:
        pytest.skip("OpenSSH's server is not installed here")
    with remotes.KINDS[request.param](tmp_path_factory.mktemp(request.param) / "server") as found:
        owner.use(found, url=found.pushes_to or found.url)
        owner.run("dvc", "push")
        yield found


@pytest.fixture(scope="session")
def _clone(tmp_path_factory, owner) -> Project:
    path = tmp_path_factory.mktemp("second") / "clone"
    subprocess.run(["git", "clone", "-q", owner.path, path], check=True)
    return Project(path)


@pytest.fixture
def clone(_clone, owner, remote) -> Project:
    """A second clone that has nothing yet. It and the owner's project are pointed to the remote."""
    owner.use(remote, url=remote.pushes_to or remote.url)
    _clone.forget()
    _clone.use(remote)
    return _clone


@pytest.fixture
def objects(owner) -> dict[str, str]:
    """Keys in the remote: of the folder's list, the weights and the card."""

    def key(md5: str) -> str:
        return f"files/md5/{md5[:2]}/{md5[2:]}"

    listed = yaml.safe_load((owner.path / f"{FOLDER}.dvc").read_text())["outs"][0]["md5"]
    entries = json.loads((owner.path / ".dvc/cache" / key(listed)).read_text())
    return {"list": key(listed), **{entry["relpath"]: key(entry["md5"]) for entry in entries}}
