"""A server that says as much as it is told to, whatever it is asked, and breaks the connection."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY = b'{"id": "half an answer", "choices": [{"mess'
_RST_ON_CLOSE = struct.pack("ii", 1, 0)
# By the place in the config: nothing at all, by a process that died or one that closed, the head of a stream, half of a
# plain answer's body.
SAYS = {
    "killed": b"",
    "closed": b"",
    "headed": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n" + _BODY,
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        length = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        self.wfile.write(self.server.says)  # type: ignore[attr-defined]
        if self.server.kills:  # type: ignore[attr-defined]
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self.request.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, says: bytes, *, kills: bool) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.says = says
        self.kills = kills

    def shutdown_request(self, request: Any) -> None:
        """Close it; the end that a shutdown sends ahead would come before the reset."""
        if self.kills:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        """Whoever hangs up first is of no interest."""


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Yield the address of each kind of server, by its name."""
    servers = {name: _Server(says, kills=name == "killed") for name, says in SAYS.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {name: f"http://{LOOPBACK}:{server.server_address[1]}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
