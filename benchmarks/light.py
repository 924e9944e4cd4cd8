"""A client of Redis that costs next to nothing: what it sends is written beforehand, and answers are only counted."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence


def encoded(*words: str | float) -> bytes:
    """Return the command as it goes over the wire."""
    texts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)


class LightClient:
    """One connection. What Redis answers with an error raises RuntimeError, whatever it is."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def send(self, commands: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join(commands))

    def wait(self, answers: int) -> None:
        """Read so many answers."""
        for _ in range(answers):
            self._read()

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _read(self) -> None:
        line = self._answers.readline()
        kind, size = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(line.decode())
        if kind == b"*":
            self.wait(int(size))
        elif kind == b"$" and size != b"-1":
            self._answers.read(int(size) + 2)
