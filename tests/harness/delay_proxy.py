"""A wire that can be slow, be cut, or lose answers: between a proxy and its Redis, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from tests.harness.process import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class DelayProxy:
    """Listens on `port` and passes everything on to another; tests change it while it runs.

    `delay` is in seconds and holds for what Redis answers; what is asked goes through at once. With `swallow`, Redis
    does what it is asked and nobody hears of it.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.delay = 0.0
        self.swallow = False
        self.swallowed = 0
        self._target = target
        self._wires: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._do(self._cut())

    def mend(self) -> None:
        """Pass everything on again."""
        self.delay, self.swallow = 0.0, False
        if self._server is None:
            self._do(self._listen())

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)

    async def _cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for wire in list(self._wires):
            wire.transport.abort()
        # The handlers see the end of their connections before the loop does.
        while self._wires:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _connected(self, asking: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        self._wires.add(answering)
        try:
            answers, questions = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            self._wires.discard(answering)
            answering.transport.abort()
            return
        self._wires.add(questions)
        try:
            await asyncio.gather(self._ask(asking, questions), self._answer(answers, answering))
        finally:
            for wire in (answering, questions):
                self._wires.discard(wire)
                wire.transport.abort()

    async def _ask(self, asking: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await asking.read(65536):
                questions.write(data)
                await questions.drain()
        questions.transport.abort()

    async def _answer(self, answers: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65536):
                await asyncio.sleep(self.delay)
                if self.swallow:
                    self.swallowed += 1
                    continue
                answering.write(data)
                await answering.drain()
        answering.transport.abort()
