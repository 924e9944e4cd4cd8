"""The one way out of a network namespace that has nothing but loopback: TCP inside, a Unix socket, TCP outside.

Inside it is a program, of the standard library alone: `python bridge.py SOCKET PORT SECONDS COMMAND...` runs the
command where PORT of loopback leads to SOCKET, ends it and what it left behind after SECONDS, and exits as it did (124:
out of time).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import struct
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LOOPBACK = "127.0.0.1"
OUT_OF_TIME = 124
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


class Refusals:
    """How often an agent was answered 429, as who stands between the two sees it."""

    def __init__(self) -> None:
        self.count = 0
        self.first = asyncio.Event()

    def look(self, piece: bytes) -> None:
        if piece.startswith(b"HTTP/1.1 429"):
            self.count += 1
            self.first.set()


@asynccontextmanager
async def led_out(path: str, port: int, refusals: Refusals) -> AsyncIterator[None]:
    """Outside: whoever connects to the Unix socket talks to that port of loopback."""
    serve = _towards(lambda: asyncio.open_connection(LOOPBACK, port), refusals.look)
    async with await asyncio.start_unix_server(serve, path):
        yield


async def run_inside(path: str, port: int, seconds: float, command: list[str]) -> int:
    _bring_up("lo")
    await asyncio.start_server(_towards(lambda: asyncio.open_unix_connection(path)), LOOPBACK, port)
    running = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True)
    try:
        return await asyncio.wait_for(running.wait(), seconds)
    except asyncio.TimeoutError:
        return OUT_OF_TIME
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def _bring_up(interface: str) -> None:
    with socket.socket() as asking:
        fcntl.ioctl(asking, _SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), _IFF_UP))


def _towards(
    open_other: Callable[[], Awaitable[Ends]], look: Callable[[bytes], None] = lambda _: None
) -> Callable[..., Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await open_other()
        except OSError:
            writer.transport.abort()
            return
        # HTTP closes no half: the first end is the end of both, or a client that left would be noticed by nobody.
        pumps = [
            asyncio.create_task(_pump(reader, other_writer, lambda _: None)),
            asyncio.create_task(_pump(other_reader, writer, look)),
        ]
        # At the program's end asyncio would write the cancellation of what is still open among the agent's own words.
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for end in (writer, other_writer):
            end.close()

    return serve


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while piece := await reader.read(2**16):
            look(piece)
            writer.write(piece)
            await writer.drain()


if __name__ == "__main__":
    sys.exit(asyncio.run(run_inside(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])))
