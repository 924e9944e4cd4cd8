"""Clients of the WebSocket routes: they hold a session, ask for turns in it, say goodbye or vanish."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.harness.provider.script import word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.routes import SocketRoute

_PATIENCE = 10.0
_TEXT = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


class Session:
    """A session that its client is holding.

    Attributes:
        events: what the proxy has sent so far.
        over: whether the proxy has closed it.
        reason: what it says of why it did.
    """

    def __init__(self, route: SocketRoute, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._route = route
        self._socket = socket
        self.events: list[dict[str, Any]] = []
        self.over = False
        self.reason = ""

    @property
    def text(self) -> str:
        return json.dumps(self.events)

    async def ask(self, script: Script) -> None:
        await self._socket.send_json(self._route.ask(str(script)))

    async def turn(self, script: Script) -> None:
        """Ask, and read to the end of the answer."""
        await self.ask(script)
        await self.read_until(self._route.terminal)

    async def read_chunks(self, count: int) -> None:
        await self.read_until(word(count - 1).strip())

    async def read_until(self, text: str) -> None:
        while text not in self.text:
            assert await self._read(), f"closed before {text!r} came: {self.text}"

    async def ask_in_vain(self, script: Script) -> None:
        """Ask in a session that is refused, sooner or later: some versions look only at the first message."""
        with suppress(ConnectionError):
            await self.ask(script)
        while await self._read():
            pass

    def vanish(self) -> None:
        """As a client whose machine is gone: no closing handshake."""
        connection = self._socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def _read(self) -> bool:
        message = await asyncio.wait_for(self._socket.receive(), _PATIENCE)
        if message.type in _TEXT:
            self.events.append(json.loads(message.data))
            return True
        self.over, self.reason = True, str(message.extra or "")
        return False


@asynccontextmanager
async def session(
    caller: Caller, route: SocketRoute, key: Key, *, model: str = "", ordered: str = ""
) -> AsyncIterator[Session]:
    """A session; leaving the block closes it as a polite client does. *ordered*: what the proxy shall do to it."""
    url = f"{caller.url()}{route.path}?model={model or route.model}"
    headers = {"Authorization": f"Bearer {key.secret}", "x-ordered": ordered}
    async with aiohttp.ClientSession() as client, client.ws_connect(url, headers=headers) as socket:
        yield Session(route, socket)
