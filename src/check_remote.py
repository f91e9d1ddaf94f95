"""Reads what a DVC remote holds of this commit's results, and names and repairs what is missing or damaged.

DVC itself notices damage only when somebody pulls, does not say which object is bad, and does not push one again whose
name is there.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pre2post.core.errors import InputError, one_line, run_stage
from pre2post.core.progress import progress

CHUNK = 2**20  # bytes read at a time
PROGRAM = "check_remote"


@dataclass(frozen=True)
class Stored:
    """One object in a remote: the file that it is, or the list of a folder's files, and its MD5 by DVC's count."""

    name: str
    oid: str  # ends in .dir for a list

    @property
    def md5(self) -> str:
        return self.oid.removesuffix(".dir")


def main() -> None:
    arguments = read_arguments()
    from dvc.repo import Repo  # a second: only once the arguments are known to be right

    with Repo() as repo:
        remote, cache = open_remote(repo, arguments.remote), repo.cache.local
        objects = list_objects(repo, arguments.targets, remote)
        if not objects:
            raise InputError(
                "nothing of this is shared",
                found=", ".join(arguments.targets) or "no tracked output",
                expected="outputs that dvc.yaml does not keep here with push: false",
            )
        bad = {}
        for stored in progress(objects, PROGRAM, unit="object"):
            problem = find_problem(remote, stored)
            if problem:
                bad[stored] = problem
    if [*bad.values()] == ["missing"] * len(objects) and not arguments.repair:  # so seems a web server that is down
        raise InputError(
            "nothing of this is there",
            file=remote.path,
            found=f"none of {len(objects)} objects",
            hint="check the url and that the server is up, or `dvc push` first",
        )
    for stored, problem in bad.items():
        print(f"{stored.name}: {problem} ({stored.oid})")
    if arguments.repair:
        bad = {stored: problem for stored, problem in bad.items() if not repair(remote, cache, stored)}
    print(f"{len(objects)} objects in {remote.path}: {len(bad)} missing or damaged")
    if bad and not arguments.repair:
        print("what to do: where the good ones are, `python src/check_remote.py --repair`")
    if bad:
        sys.exit(1)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="Every object is read as a whole. Exit code 1: something is missing or damaged.",
    )
    parser.add_argument("targets", nargs="*", metavar="OUTPUT", help="such as artifacts/gan; default: all")
    parser.add_argument("--remote", "-r", metavar="NAME", help="default: core.remote of .dvc/config")
    parser.add_argument("--repair", action="store_true", help="send these again, from the cache here")
    return parser.parse_args()


def open_remote(repo, name: str | None):
    """The remote's object store. Raises InputError when there is none of this name or it cannot be asked."""
    from dvc.exceptions import DvcException

    try:
        remote = repo.cloud.get_remote_odb(name, PROGRAM)
        answer(remote, partial(remote.fs.exists, remote.path))
        return remote
    except FileNotFoundError as error:
        raise unusable(remote, error) from None
    except DvcException as error:
        raise InputError(
            "there is no such remote",
            found=error,
            hint="`dvc remote list` shows those that are there; `dvc remote add` makes one",
        ) from None


def answer(remote, question):
    """What the server says. Raises InputError when it cannot be reached or does not let us in."""
    try:
        return question()
    except FileNotFoundError:
        raise
    except Exception as error:  # every kind of remote has its own
        raise unusable(remote, error) from None


def unusable(remote, error: Exception) -> InputError:
    return InputError(
        "the remote does not answer, or does not let you in",
        file=remote.path,
        found=first_line(error),
        hint="check url, port and credentials: `dvc remote list`, .dvc/config.local",
    )


def first_line(error: Exception) -> str:
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])


def list_objects(repo, targets: list[str], remote) -> list[Stored]:
    """Every object that a full push of these outputs would leave in the remote."""
    found = {}
    for out in outputs(repo, targets):
        oid = out.hash_info.value
        found[oid] = Stored(str(out), oid)
        if oid.endswith(".dir"):
            for entry in read_list(repo, remote, out):
                found.setdefault(entry["md5"], Stored(f"{out}/{entry['relpath']}", entry["md5"]))
    return list(found.values())


def outputs(repo, targets: list[str]) -> Iterator:
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
            raise InputError("there is no such output or stage", found=target, expected=first_line(error)) from None
        yield from (out for out in known if id(out) in wanted)


def read_list(repo, remote, out) -> list[dict]:
    """The files of a folder, from the cache or else the remote; none where neither has a usable list."""
    for store in (repo.cache.local, remote):
        try:
            with store.fs.open(store.oid_to_path(out.hash_info.value), "rb") as file:
                content = file.read()
            if hashlib.md5(content).hexdigest() == out.hash_info.value.removesuffix(".dir"):
                return json.loads(content)
        except OSError:
            continue
    return []


def find_problem(remote, stored: Stored) -> str | None:
    """What is wrong with an object in the remote; None: nothing."""
    digest, size = hashlib.md5(), 0
    try:
        with answer(remote, partial(remote.fs.open, remote.oid_to_path(stored.oid), "rb")) as file:
            while chunk := answer(remote, partial(file.read, CHUNK)):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return "missing"
    return None if digest.hexdigest() == stored.md5 else f"damaged: {size} bytes of another content"


def repair(remote, cache, stored: Stored) -> bool:
    """Sends an object again, if the one in the cache is whole; says when it is not."""
    if find_problem(cache, stored):
        print(f"{stored.name}: the cache here has no whole one; what to do: `dvc repro`, or repair from elsewhere")
        return False
    path = remote.oid_to_path(stored.oid)
    answer(remote, partial(remote.fs.makedirs, remote.fs.parent(path), exist_ok=True))
    answer(remote, partial(remote.fs.put_file, cache.oid_to_path(stored.oid), path))
    problem = find_problem(remote, stored)
    print(f"{stored.name}: {problem or 'sent again, whole now'}")
    return problem is None


if __name__ == "__main__":
    run_stage(main)
