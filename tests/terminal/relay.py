"""A wire between an SDK and the proxy, for what the SDK keeps to itself: the comments of a stream."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Relay:
    """What the proxy has answered so far, as it was on the wire; what is `without` does not reach the SDK."""

    def __init__(self, target: int, without: bytes) -> None:
        self.url = ""
        self.answered = b""
        self._target = target
        self._without = without
        self._more = asyncio.Event()

    async def until(self, text: bytes, within: float = 20) -> None:
        """Wait until the proxy has answered *text*."""
        while text not in self.answered:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), within)

    async def connected(self, asking: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(LOOPBACK, self._target)
        try:
            await asyncio.gather(self._pass(asking, questions), self._pass(answers, answering, kept=True))
        finally:
            for wire in (answering, questions):
                wire.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, kept: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if kept:
                    self.answered += data
                    self._more.set()
                    data = data.replace(self._without, b"") if self._without else data
                target.write(data)
                await target.drain()
            target.write_eof()


@contextlib.asynccontextmanager
async def relaying(target: int, without: bytes = b"") -> AsyncIterator[Relay]:
    relay = Relay(target, without)
    server = await asyncio.start_server(relay.connected, LOOPBACK, 0)
    relay.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
