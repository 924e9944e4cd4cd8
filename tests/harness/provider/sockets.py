"""Sessions over WebSocket, as of OpenAI's Realtime and Responses APIs: each `response.create` is played by its script.

A session is counted in the run of its first script, from then until it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.harness.provider import script as scripts
from tests.harness.provider.script import word

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.harness.provider.runs import Run
    from tests.harness.provider.script import Script

Json = dict[str, Any]

# The last event of a turn, by the end of the path.
LAST = {"/realtime": "response.done", "/responses": "response.completed"}
# A session of such a model is refused, with this status, before it has begun.
REFUSED_MODELS = {"refused-429": 429, "refused-500": 500}


async def converse(request: web.Request, runs: MutableMapping[str, Run]) -> web.StreamResponse:
    """Hold one session, for as long as the other side does."""
    model = request.query.get("model", "")
    if model in REFUSED_MODELS:
        runs[model].enter()
        runs[model].leave(answered=True)
        return web.json_response({"error": {"message": "refused"}}, status=REFUSED_MODELS[model])
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    session = _Session(request, socket, runs)
    try:
        await session.hold()
    finally:
        await session.ended()
    return socket


class _Session:
    def __init__(self, request: web.Request, socket: web.WebSocketResponse, runs: MutableMapping[str, Run]) -> None:
        self._request = request
        self._socket = socket
        self._runs = runs
        self._run: Run | None = None
        self._turn: asyncio.Task[None] | None = None
        self._answered = False

    async def hold(self) -> None:
        """Turns are played beside the reading: a close that comes in mid-turn is answered at once."""
        if self._request.path.endswith("/realtime"):
            await self._send("session.created", session={"id": "sess_1", "object": "realtime.session"})
        async for message in self._socket:
            if message.type is WSMsgType.TEXT and json.loads(message.data)["type"] == "response.create":
                self._turn = asyncio.ensure_future(self._play(scripts.find(message.data, "")))

    async def ended(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await self._turn
        if self._run is not None:
            self._run.leave(answered=self._answered)

    async def _play(self, script: Script) -> None:
        if self._run is None:
            self._run = self._runs[script.run]
            self._run.enter()
        self._answered = False
        await self._send("response.created", response=_response("in_progress"))
        for step in range(script.chunks + 1):
            if script.stalls(step):
                await self._run.stall()
            if await self._mishap(script, step):
                return
            if step < script.chunks:
                await self._send("response.output_text.delta", delta=word(step), item_id="msg_1", response_id="resp_1")
                await asyncio.sleep(script.gap)
        self._answered = True
        last = next(last for end, last in LAST.items() if self._request.path.endswith(end))
        await self._send(last, response=_response("completed"))

    async def _mishap(self, script: Script, step: int) -> bool:
        if step == script.error_step:
            self._answered = True
            failure = {"type": "server_error", "code": str(script.error_status), "message": "scripted"}
            await self._send("error", error=failure)
            return True
        if step != script.break_step:
            return False
        self._answered = True
        if script.break_by == "end":
            await self._socket.close(code=1011, message=b"scripted")
        elif self._request.transport is not None:
            self._request.transport.abort()
        return True

    async def _send(self, kind: str, **more: Any) -> None:
        await self._socket.send_json({"type": kind, "event_id": "event_1", **more})


def _response(status: str) -> Json:
    usage = {"input_tokens": 7, "output_tokens": 4, "total_tokens": 11}
    made = {"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": "live", "status": status}
    return {**made, "output": [], "usage": usage if status == "completed" else None}
