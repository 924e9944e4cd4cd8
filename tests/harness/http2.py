"""A client over HTTP/2, with TLS and without; it resets single streams of its connection, and takes only what it says.

httpx resets no stream that it leaves (httpcore 1.0.9, _async/http2.py `_response_closed`), and takes all.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

from tests.harness.tls import trusting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.harness.keys import Key
    from tests.harness.routes import Route

_PATIENCE = 10.0
_OVER = (StreamEnded, StreamReset)


class Http2:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, takes: bool) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        if not takes:
            # What it is sent stays with the server.
            nothing = {SettingCodes.INITIAL_WINDOW_SIZE: 0}
            self._protocol.local_settings = Settings(client=True, initial_values=nothing)
        self._protocol.initiate_connection()
        self._news = asyncio.Condition()
        self.statuses: dict[int, int] = {}
        self.texts: defaultdict[int, str] = defaultdict(str)
        self.over: set[int] = set()

    def ask(self, route: Route, key: Key, text: str, *, stream: bool) -> int:
        """Ask in a stream of its own; returns its number."""
        path, body, headers = route.request(key, text, stream=stream)
        number = self._protocol.get_next_available_stream_id()
        head = {":method": "POST", ":scheme": "http", ":authority": "proxy", ":path": path}
        head |= {"content-type": "application/json"} | {name.lower(): value for name, value in headers.items()}
        self._protocol.send_headers(number, list(head.items()))
        self._protocol.send_data(number, json.dumps(body).encode(), end_stream=True)
        self._flush()
        return number

    def reset(self, number: int) -> None:
        """Leave that stream, as a client does that cancels a request; the connection stays."""
        self._protocol.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()

    def abort(self) -> None:
        """Be gone without a word, as a client that is killed."""
        self._writer.transport.abort()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until that is *true* of what has come."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(true), _PATIENCE)

    async def read(self) -> None:
        """Take what comes, until the connection ends."""
        while data := await self._reader.read(65536):
            async with self._news:
                for event in self._protocol.receive_data(data):
                    self._note(event)
                self._news.notify_all()
            self._flush()

    def _note(self, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            headers: dict[Any, Any] = dict(event.headers)
            self.statuses[event.stream_id] = int(headers[":status"])
        elif isinstance(event, DataReceived):
            self.texts[event.stream_id] += event.data.decode()
            self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, _OVER):
            self.over.add(event.stream_id)

    def _flush(self) -> None:
        self._writer.write(self._protocol.data_to_send())


@asynccontextmanager
async def connected(url: str, *, takes: bool = True) -> AsyncIterator[Http2]:
    """Speak HTTP/2: to an https:// URL as TLS has it chosen (ALPN), else from the first byte on.

    Leaving the block drops the connection. *takes*: whether it takes bodies.
    """
    address = urlsplit(url)
    tls = trusting(["h2"]) if address.scheme == "https" else None
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=tls)
    if tls is not None:
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    connection = Http2(reader, writer, takes=takes)
    connection._flush()
    reading = asyncio.create_task(connection.read())
    try:
        yield connection
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
