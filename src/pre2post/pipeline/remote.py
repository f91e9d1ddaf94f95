"""Check which objects of the current commit a DVC remote holds, and repair missing or damaged ones.

DVC itself notices damage only in a pull, does not name the damaged object, and does not upload an object again if the
remote has one of this name.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pre2post.core.errors import InputError, one_line
from pre2post.core.progress import progress

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

CHUNK = 2**20  # bytes read at a time
PROGRAM = "check-remote"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Stored:
    """One object in a remote, the content of a file or the list of a folder's files, with its DVC hash."""

    name: str
    oid: str  # MD5, which for a list ends in .dir

    @property
    def md5(self) -> str:
        return self.oid.removesuffix(".dir")


class RemoteCheck:
    """The objects that a full push of some outputs leaves in a remote, and the problem of each bad one."""

    def __init__(self, repo: "Repo", remote: "HashFileDB", objects: list[Stored]):
        self._remote, self._cache = remote, repo.cache.local
        self.path: str = remote.path
        self.objects = objects
        self.bad: dict[Stored, str] = {}
        for stored in progress(objects, PROGRAM, unit="object"):
            problem = find_problem(remote, stored)
            if problem:
                self.bad[stored] = problem

    @property
    def all_missing(self) -> bool:
        return [*self.bad.values()] == ["missing"] * len(self.objects)

    def repair(self, stored: Stored) -> str | None:
        """Upload an object again from the cache; return the remaining problem, None for success."""
        if find_problem(self._cache, stored):
            return "the local cache has no intact copy; what to do: `dvc repro`, or repair from another clone"
        remote = self._remote
        path = remote.oid_to_path(stored.oid)
        _ask(remote, partial(remote.fs.makedirs, remote.fs.parent(path), exist_ok=True))
        _ask(remote, partial(remote.fs.put_file, self._cache.oid_to_path(stored.oid), path))
        return find_problem(remote, stored)


@contextmanager
def check_remote(targets: Sequence[str] = (), name: str | None = None) -> Iterator[RemoteCheck]:
    """Read every object of the outputs or stages `targets` in the remote `name`, by default all in the default remote.

    Raises InputError if there is no such target or remote, if the remote cannot be read, or if nothing is shared.
    """
    with _open_repository() as repo:
        remote = _open_remote(repo, name)
        objects = _list_objects(repo, targets, remote)
        if not objects:
            raise InputError(
                "nothing of this is shared",
                found=", ".join(targets) or "no tracked output",
                expected="outputs without push: false in dvc.yaml",
            )
        yield RemoteCheck(repo, remote, objects)


def find_problem(remote: "HashFileDB", stored: Stored) -> str | None:
    """Read an object in a remote; return its problem, None if it is intact."""
    digest, size = hashlib.md5(), 0
    try:
        with _ask(remote, partial(remote.fs.open, remote.oid_to_path(stored.oid), "rb")) as file:
            while chunk := _ask(remote, partial(file.read, CHUNK)):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return "missing"
    return None if digest.hexdigest() == stored.md5 else f"damaged: {size} bytes of other content"


def _open_repository() -> "Repo":
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Repo()
    except NotDvcRepoError:
        raise InputError(
            "this folder is not in a DVC repository", file=Path.cwd(), hint="run from the repository root"
        ) from None


def _open_remote(repo: "Repo", name: str | None) -> "HashFileDB":
    """Open the object store of a remote. Raises InputError if there is no such remote or it cannot be read."""
    from dvc.exceptions import DvcException

    try:
        remote = repo.cloud.get_remote_odb(name, PROGRAM)
        _ask(remote, partial(remote.fs.exists, remote.path))
        return remote
    except FileNotFoundError as error:
        raise _unusable(remote, error) from None
    except DvcException as error:
        raise InputError(
            "there is no such remote",
            found=error,
            hint="list the remotes with `dvc remote list`, add one with `dvc remote add`",
        ) from None


def _ask(remote: "HashFileDB", question: Callable[[], Answer]) -> Answer:
    """Return the server's answer. Raises InputError if it cannot be reached or refuses access."""
    try:
        return question()
    except FileNotFoundError:
        raise
    except Exception as error:  # each kind of remote has its own
        raise _unusable(remote, error) from None


def _unusable(remote: "HashFileDB", error: Exception) -> InputError:
    return InputError(
        "the remote does not answer, or refuses access",
        file=remote.path,
        found=_first_line(error),
        hint="check url, port and credentials: `dvc remote list`, .dvc/config.local",
    )


def _first_line(error: Exception) -> str:
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])


def _list_objects(repo: "Repo", targets: Sequence[str], remote: "HashFileDB") -> list[Stored]:
    found: dict[str, Stored] = {}
    for out in _outputs(repo, targets):
        oid = out.hash_info.value
        found[oid] = Stored(str(out), oid)
        if oid.endswith(".dir"):
            for entry in _read_list(repo, remote, oid):
                found.setdefault(entry["md5"], Stored(f"{out}/{entry['relpath']}", entry["md5"]))
    return list(found.values())


def _outputs(repo: "Repo", targets: Sequence[str]) -> "Iterator[Output]":
    from dvc.exceptions import DvcException

    known = [out for out in repo.index.outs if out.use_cache and out.can_push and out.hash_info]
    if not targets:
        yield from known
    for target in targets:
        try:
            wanted = {id(out) for out in repo.index.outs if str(out) == target} or {
                id(out) for stage in repo.stage.collect(target) for out in stage.outs
            }
        except DvcException as error:
            raise InputError("there is no such output or stage", found=target, expected=_first_line(error)) from None
        yield from (out for out in known if id(out) in wanted)


def _read_list(repo: "Repo", remote: "HashFileDB", oid: str) -> list[dict[str, Any]]:
    """Return the files of a folder, from the cache or else the remote; none if neither has an intact list."""
    for store in (repo.cache.local, remote):
        try:
            with store.fs.open(store.oid_to_path(oid), "rb") as file:
                content = file.read()
            if hashlib.md5(content).hexdigest() == oid.removesuffix(".dir"):
                return json.loads(content)
        except OSError:
            continue
    return []
