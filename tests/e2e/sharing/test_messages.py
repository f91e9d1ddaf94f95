"""What DVC prints where nothing can be reached or entered: docs/reference/dvc-messages.md has the answers to it.

A web server that is down, a wrong folder and a wrong bucket all look like a remote without any push.
"""

import shutil
import subprocess
from dataclasses import dataclass, field

import pytest
from project import FOLDER

NOTHING_THERE = (
    "Some of the cache files do not exist neither locally nor on remote. Missing cache files:",
    f"Checkout failed for following targets:\n{FOLDER}\nIs your cache up to date?",
)
NOT_FETCHED = "failed to pull data from the cloud - 1 files failed to download"
PULL, PUSH = ("pull", FOLDER), ("push",)
ENTERED_BY_ALL = "moto"  # a stand-in that knows no wrong key


@dataclass(frozen=True)
class Situation:
    """What is wrong, the remote's options that make it so, and what the command then prints."""

    name: str
    said: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = PULL
    code: int = 1
    wants_keys: bool = False


SITUATIONS = {
    "ssh": [
        Situation(
            "no such key file",
            ("failed to connect to ssh", "No such file or directory: '/nonexistent'", NOT_FETCHED),
            {"keyfile": "/nonexistent"},
        ),
        Situation(
            "a key that the server does not know",
            ("failed to connect to ssh", "Permission denied for user", NOT_FETCHED),
            {"keyfile": "{stranger}"},
        ),
        Situation(
            "no such user",
            ("Permission denied for user absent-user on host 127.0.0.1", NOT_FETCHED),
            {"user": "absent-user"},
        ),
        Situation(
            "server down",
            ("failed to connect to ssh", "Connect call failed ('127.0.0.1', 1)", NOT_FETCHED),
            {"port": "1"},
        ),
        Situation(
            "no such host",
            ("failed to connect to ssh", "Name or service not known", NOT_FETCHED),
            {"url": "ssh://nowhere.invalid/store"},
        ),
        Situation("no such folder", NOTHING_THERE, {"url": "ssh://127.0.0.1/nonexistent"}),
    ],
    "s3": [
        Situation(
            "wrong secret key",
            ("failed to connect to s3", "Forbidden: An error occurred (403)", NOT_FETCHED),
            {"secret_access_key": "wrong"},
            wants_keys=True,
        ),
        Situation(
            "wrong secret key, push",
            ("unexpected error - Forbidden: An error occurred (403)",),
            {"secret_access_key": "wrong"},
            PUSH,
            255,
            wants_keys=True,
        ),
        Situation("no such bucket", NOTHING_THERE, {"url": "s3://nowhere/store"}),
        Situation(
            "no such bucket, push",
            ("An error occurred (NoSuchBucket)", "The specified bucket does not exist"),
            {"url": "s3://nowhere/store"},
            PUSH,
            255,
        ),
        Situation(
            "server down",
            ("failed to connect to s3", 'Could not connect to the endpoint URL: "http://127.0.0.1:1', NOT_FETCHED),
            {"endpointurl": "http://127.0.0.1:1"},
        ),
    ],
    "http": [
        Situation("server down", NOTHING_THERE, {"url": "http://127.0.0.1:1"}),
        Situation("wrong path", NOTHING_THERE, {"url": "{url}/elsewhere"}),
        Situation(
            "push where one can only read",
            (
                "failed to transfer",
                "501, message=\"Unsupported method ('POST')\"",
                "failed to push data to the cloud - 3 files failed to upload",
            ),
            {"url": "{url}/new"},
            PUSH,
        ),
        Situation(
            "no such remote",
            ("config file error: remote 'nowhere' doesn't exist",),
            command=(*PULL, "--remote", "nowhere"),
        ),
    ],
}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> str:
    """A key that no server knows; "" without OpenSSH, where it is not needed."""
    if shutil.which("ssh-keygen") is None:
        return ""
    path = tmp_path_factory.mktemp("stranger") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return str(path)


def test_dvc_says(owner, clone, remote, stranger):
    for situation in SITUATIONS[remote.kind]:
        if situation.wants_keys and remote.server == ENTERED_BY_ALL:
            continue
        project = owner if situation.command == PUSH else clone
        project.use(
            remote,
            **{name: value.format(stranger=stranger, url=remote.url) for name, value in situation.options.items()},
        )
        printed = project.run("dvc", *situation.command, expect=situation.code)
        absent = [text for text in situation.said if text not in printed]
        assert not absent, f"{situation.name}: {absent} not in\n{printed}"
