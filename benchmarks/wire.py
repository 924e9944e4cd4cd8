"""A wire between a proxy and its Redis that counts: round trips, and the commands sent in them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING

from tests.harness.process import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

_COUNT = re.compile(rb"[*$](\d+)\r\n")


class Commands:
    """Takes apart what a client sends: each command an array of bulk strings."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the names of the commands that are whole now."""
        self._left += data
        names = []
        while (end := self._end()) is not None:
            command, self._left = self._left[:end], self._left[end:]
            names.append(command.split(b"\r\n", 3)[2].decode().lower())
        return names

    def _end(self) -> int | None:
        array = _COUNT.match(self._left)
        if array is None:
            return None
        at = array.end()
        for _ in range(int(array[1])):
            text = _COUNT.match(self._left, at)
            if text is None:
                return None
            at = text.end() + int(text[1]) + 2
        return at if at <= len(self._left) else None


class CountingWire:
    """Listens on `port` and passes everything on, in a thread of its own.

    A round trip begins with what is sent on a connection after it was answered: a pipeline is one, however long.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.round_trips = 0
        self.connections = 0
        self.commands: Counter[str] = Counter()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)

    async def _connected(self, asking: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(LOOPBACK, self._target)
        turn = _Turn()
        self.connections += 1
        try:
            await asyncio.gather(self._ask(asking, questions, turn), self._answer(answers, answering, turn))
        finally:
            self.connections -= 1
            answering.close()
            questions.close()

    async def _ask(self, asking: asyncio.StreamReader, questions: asyncio.StreamWriter, turn: _Turn) -> None:
        commands = Commands()
        with contextlib.suppress(OSError):
            while data := await asking.read(65536):
                self.round_trips += turn.answered
                turn.answered = False
                self.commands.update(commands.feed(data))
                questions.write(data)
                await questions.drain()
        questions.close()

    async def _answer(self, answers: asyncio.StreamReader, answering: asyncio.StreamWriter, turn: _Turn) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65536):
                turn.answered = True
                answering.write(data)
                await answering.drain()
        answering.close()


class _Turn:
    """Whether a connection was answered since something was asked on it; a new one counts as answered."""

    answered = True
