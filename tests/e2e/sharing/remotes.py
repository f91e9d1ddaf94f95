"""Remotes of three kinds on loopback servers, and what can happen to an object that lies there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import swift
from servers import free_port, in_background, running, wait_for

SSHD = shutil.which("sshd") or next(filter(os.path.exists, ["/usr/sbin/sshd"]), None)
SERVERS = {"ssh": "OpenSSH", "s3": "Swift" if swift.installed() else "moto", "http": "files"}


@dataclass
class Remote:
    """Where a DVC remote is, what opens it, and its objects by key (files/md5/...)."""

    kind: str
    port: int
    url: str
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    options: dict[str, str] = field(default_factory=dict)
    pushes_to: str = ""  # where a remote that can only be read is written; "": here

    @property
    def server(self) -> str:
        return SERVERS[self.kind]

    def through(self, port: int) -> dict[str, str]:
        """Options that lead to the same server by another port."""
        options = {"url": self.url, **self.options}
        return {
            name: options[name].replace(str(self.port), str(port))
            for name in ("url", "port", "endpointurl")
            if name in options
        }


def folder_remote(kind: str, port: int, url: str, folder: Path, **more) -> Remote:
    """A remote whose server keeps its objects as files below a folder."""

    def write(key: str, content: bytes) -> None:
        (folder / key).unlink(missing_ok=True)  # DVC leaves its objects read-only
        (folder / key).write_bytes(content)

    return Remote(
        kind, port, url, lambda key: (folder / key).read_bytes(), write, lambda key: (folder / key).unlink(), **more
    )


@contextmanager
def ssh(folder: Path) -> Iterator[Remote]:
    """OpenSSH with a configuration, host key and user key of its own."""
    port, store = free_port(), folder / "store"
    store.mkdir(parents=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile none\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nUsePAM no\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd parts with its privileges; gone after a restart
    with running([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], folder / "sshd.log"):
        wait_for(port, folder / "sshd.log")
        yield folder_remote(
            "ssh", port, f"ssh://127.0.0.1{store}", store, options={"port": str(port), "keyfile": str(folder / "user")}
        )


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """OpenStack Swift with its S3 interface, or, where that is not installed, moto's server."""
    folder.mkdir(parents=True)
    with swift.swift(folder) if swift.installed() else moto(folder) as url:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=swift.ACCESS_KEY,
            aws_secret_access_key=swift.SECRET_KEY,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="models")

        def path(key: str) -> dict[str, str]:
            return {"Bucket": "models", "Key": f"store/{key}"}

        yield Remote(
            "s3",
            int(url.rpartition(":")[2]),
            "s3://models/store",
            lambda key: client.get_object(**path(key))["Body"].read(),
            lambda key, content: client.put_object(**path(key), Body=content),
            lambda key: client.delete_object(**path(key)),
            {
                "endpointurl": url,
                "access_key_id": swift.ACCESS_KEY,
                "secret_access_key": swift.SECRET_KEY,
                "region": "us-east-1",
            },
        )


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    port = free_port()
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder / "moto.log"):
        wait_for(port, folder / "moto.log")
        yield f"http://127.0.0.1:{port}"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        """Nothing: requests are no news."""


@contextmanager
def http(folder: Path) -> Iterator[Remote]:
    """A folder behind a web server: read only. The owner of the folder pushes into it."""
    store = folder / "store"
    store.mkdir(parents=True)
    with in_background(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(store)))) as server:
        port = server.server_port
        yield folder_remote("http", port, f"http://127.0.0.1:{port}", store, pushes_to=str(store))


KINDS = {"ssh": ssh, "s3": s3, "http": http}
