"""Servers on loopback that a test starts and stops."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer

PATIENCE = 20  # seconds for a server to answer, on a busy machine


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port: int, log: Path) -> None:
    """Returns as soon as something listens; fails with the server's own words if nothing does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"no server on port {port} after {PATIENCE} s:\n{log.read_text() if log.is_file() else ''}")


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen]:
    """A process that is ended with the block."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def in_background(server: BaseServer) -> Iterator[BaseServer]:
    """A server of Python's own that is ended with the block, whatever its clients still do."""
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()  # s until it sees the end
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
