"""A line to a server that breaks in the middle of what the server sends."""

import math
import socket
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

CHUNK = 512  # bytes passed on at a time: few beside the smallest weights, so that these can be cut in the middle
LONGEST = 60  # seconds that a stalled line keeps its clients waiting


class Line(ThreadingTCPServer):
    """Passes on what both sides send. After `limit` bytes from the server it breaks once: it closes, or stalls."""

    def __init__(self, port: int):
        super().__init__(("127.0.0.1", 0), Connection)
        self.port = port
        self.mended = threading.Event()
        self.mend()

    def break_after(self, limit: int, stall: bool) -> None:
        """stall: keeps the connection, and sends nothing more."""
        self.mend()
        self.limit, self.stall, self.mended, self.broken = limit, stall, threading.Event(), threading.Event()

    def mend(self) -> None:
        self.mended.set()
        self.passed, self.limit, self.broken = 0, math.inf, threading.Event()


class Connection(BaseRequestHandler):
    def handle(self) -> None:
        line, mended = self.server, self.server.mended
        with socket.create_connection(("127.0.0.1", line.port)) as server, suppress(OSError):
            for end in (self.request, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pass_on, args=(self.request, server), daemon=True).start()
            while chunk := server.recv(CHUNK):
                line.passed += len(chunk)
                if line.passed > line.limit:
                    line.limit = math.inf
                    line.broken.set()
                    if line.stall:
                        mended.wait(LONGEST)
                    return
                self.request.sendall(chunk)


def pass_on(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):  # one of the two has gone
        while chunk := client.recv(CHUNK):
            server.sendall(chunk)
        server.shutdown(socket.SHUT_WR)
