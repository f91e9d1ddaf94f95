"""Remotes of three kinds on loopback servers, and what can happen to an object that lies there."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import swift
from servers import free_port, running, wait_for

SSHD = shutil.which("sshd") or next(filter(os.path.exists, ["/usr/sbin/sshd"]), None)
STALL = 60  # seconds that a stalling server keeps a reader waiting: longer than any test


@dataclass
class Remote:
    """Where a DVC remote is, what opens it, and its objects by key (files/md5/...)."""

    server: str
    url: str
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    options: dict[str, str] = field(default_factory=dict)
    pushes_to: str = ""  # where a remote that can only be read is written; "": here
    serve: dict = field(default_factory=dict)  # what the HTTP server does to a body: see Handler


def folder_remote(server: str, url: str, folder: Path, **more) -> Remote:
    """A remote whose server keeps its objects as files below a folder."""
    def write(key: str, content: bytes) -> None:
        (folder / key).unlink(missing_ok=True)  # DVC leaves its objects read-only
        (folder / key).write_bytes(content)

    return Remote(server, url, lambda key: (folder / key).read_bytes(), write, lambda key: (folder / key).unlink(),
                  **more)


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
        "Subsystem sftp internal-sftp\n")
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd parts with its privileges; gone after a restart
    with running([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], folder / "sshd.log"):
        wait_for(port, folder / "sshd.log")
        yield folder_remote("OpenSSH", f"ssh://127.0.0.1{store}", store,
                            options={"port": str(port), "keyfile": str(folder / "user")})


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """OpenStack Swift with its S3 interface, or, where that is not installed, moto's server."""
    folder.mkdir(parents=True)
    with (swift.swift(folder) if swift.installed() else moto(folder)) as url:
        import boto3

        client = boto3.client("s3", endpoint_url=url, aws_access_key_id=swift.ACCESS_KEY,
                              aws_secret_access_key=swift.SECRET_KEY, region_name="us-east-1")
        client.create_bucket(Bucket="models")

        def path(key: str) -> dict[str, str]:
            return {"Bucket": "models", "Key": f"store/{key}"}

        yield Remote("OpenStack Swift" if swift.installed() else "moto", "s3://models/store",
                     lambda key: client.get_object(**path(key))["Body"].read(),
                     lambda key, content: client.put_object(**path(key), Body=content),
                     lambda key: client.delete_object(**path(key)),
                     {"endpointurl": url, "access_key_id": swift.ACCESS_KEY, "secret_access_key": swift.SECRET_KEY,
                      "region": "us-east-1"})


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    port = free_port()
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder / "moto.log"):
        wait_for(port, folder / "moto.log")
        yield f"http://127.0.0.1:{port}"


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder. `serve` may say how much of an object's body is sent before the connection ends or stalls."""

    def __init__(self, *arguments, serve: dict, **more):
        self.serve = serve
        super().__init__(*arguments, **more)

    def copyfile(self, source, outputfile) -> None:
        content = source.read()
        if "share" not in self.serve:
            outputfile.write(content)
            return
        outputfile.write(content[:int(len(content) * self.serve["share"])])
        outputfile.flush()
        self.serve["cut"] = True
        if self.serve.get("stall"):
            time.sleep(STALL)
        self.close_connection = True

    def log_message(self, *arguments) -> None:
        """Nothing: requests are no news."""


@contextmanager
def http(folder: Path) -> Iterator[Remote]:
    """A folder behind a web server: to read only; whoever owns the folder pushes into it."""
    store, serve = folder / "store", {}
    store.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(store), serve=serve))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield folder_remote("HTTP", f"http://127.0.0.1:{server.server_port}", store, pushes_to=str(store), serve=serve)
    finally:
        server.shutdown()
        server.server_close()


KINDS = {"ssh": ssh, "s3": s3, "http": http}
