"""A provider that sends the bytes of a kind: the request's text names it, the path its protocol."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from contextlib import suppress

from aiohttp import web

from tests.failures.aws import CLAUDE, COMMAND, CONVERSE, LLAMA, MISTRAL, NOVA, TITAN
from tests.failures.kinds import ANTHROPIC, ENDLESS_ANTHROPIC, ENDLESS_OPENAI, OLLAMA, OPENAI, Kind
from tests.failures.others import COHERE, GOOGLE, RESPONSES
from tests.harness.process import LOOPBACK, free_port

UNPLAYED = "no such kind in this protocol"
_ASKED = re.compile(r"\[\[kind=([^\]]+)\]\]")
_PULSE_SECONDS = 0.2
_OPEN = web.AppKey("open", dict[int, str])
_RST_ON_CLOSE = struct.pack("ii", 1, 0)
_AWS = "application/vnd.amazon.eventstream"
_PROTOCOLS = {
    "/chat/completions|/chat_stream": ((*OPENAI, *ENDLESS_OPENAI), "text/event-stream"),
    "/api/chat": (OLLAMA, "application/x-ndjson"),
    "/api/generate": (OLLAMA, "application/x-ndjson"),
    "/messages|:streamRawPredict": ((*ANTHROPIC, *ENDLESS_ANTHROPIC), "text/event-stream"),
    "/responses": (RESPONSES, "text/event-stream"),
    ":streamGenerateContent": (GOOGLE, "text/event-stream"),
    "/v2/chat": (COHERE, "application/stream+json"),
    "/converse-stream": (CONVERSE, _AWS),
    "anthropic[^/]*/invoke-with-response-stream": (CLAUDE, _AWS),
    "llama[^/]*/invoke-with-response-stream": (LLAMA, _AWS),
    "nova[^/]*/invoke-with-response-stream": (NOVA, _AWS),
    "titan[^/]*/invoke-with-response-stream": (TITAN, _AWS),
    "mistral[^/]*/invoke-with-response-stream": (MISTRAL, _AWS),
    "command[^/]*/invoke-with-response-stream": (COMMAND, _AWS),
}


def marked(kind: Kind) -> str:
    return f"[[kind={kind.name}]]"


class Sending:
    """Serves in a thread of its own until it is closed."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://{LOOPBACK}:{self._port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._app = _application()
        self._runner = web.AppRunner(self._app, access_log=None)
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(20)

    @property
    def open(self) -> list[str]:
        """Say which connections are open that nothing more is sent on but a pulse."""
        return list(self._app[_OPEN].values())

    async def _serve(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


def _application() -> web.Application:
    app = web.Application()
    app[_OPEN] = {}
    app.router.add_post("/token", _give_a_token)
    app.router.add_post("/{path:.*}", _answer)
    return app


async def _give_a_token(_: web.Request) -> web.Response:
    """Answer as Google does to a service account."""
    return web.json_response({"access_token": "provider-token", "expires_in": 3600, "token_type": "Bearer"})


async def _answer(request: web.Request) -> web.StreamResponse:
    found = _ASKED.search(await request.text())
    protocol = next((said for end, said in _PROTOCOLS.items() if re.search(f"{end}$", request.path)), None)
    if protocol is None:
        return web.json_response({"error": f"no such path: {request.path}"}, status=404)
    if found is None:
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
            }
        )
    kind = next((kind for kind in protocol[0] if kind.name == found[1]), None)
    if kind is None:
        # Some versions ask some providers in Anthropic's protocol.
        return web.json_response({"error": {"message": UNPLAYED, "type": "invalid_request_error"}}, status=400)
    response = web.StreamResponse(headers={"Content-Type": protocol[1]})
    await response.prepare(request)
    for read in kind.reads():
        await response.write(read)
        await asyncio.sleep(0)
    if kind.stays:
        await _keep_open(request, response, kind.pulse)
        return response
    if kind.breaks:
        # What was not read by then is lost with the connection.
        await asyncio.sleep(0.5 if kind.whole else 0.05)
        if request.transport is not None:
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _keep_open(request: web.Request, response: web.StreamResponse, pulse: bytes) -> None:
    request.app[_OPEN][id(request)] = f"{request.path}: {await request.text()}"
    try:
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(_PULSE_SECONDS)
            if pulse:
                with suppress(ConnectionError):
                    await response.write(pulse)
    finally:
        request.app[_OPEN].pop(id(request), None)
