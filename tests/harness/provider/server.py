"""The provider's process: `python -m tests.harness.provider.server PORT PORT_WITH_TLS CERTIFICATE`."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import sys
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.harness.process import LOOPBACK
from tests.harness.provider import agent, mcp, misshapen, sentences, shapes, sockets, told
from tests.harness.provider import script as scripts
from tests.harness.provider.ollama import Ollama
from tests.harness.provider.responses import FAILED, Responses, ToolCalling
from tests.harness.provider.runs import Run
from tests.harness.provider.wire import (
    GEMINI_PATH,
    Anthropic,
    Chat,
    Completions,
    Embeddings,
    Gemini,
    Transcriptions,
    Wire,
)

if TYPE_CHECKING:
    from tests.harness.provider.script import Script

_AMAZON_STREAM = "/invoke-with-response-stream"
_WIRES: dict[str, type[Chat | Completions | Embeddings | Transcriptions | Anthropic | Responses | Ollama]] = {
    "/chat/completions": Chat,
    "/custom": Chat,
    "/completions": Completions,
    "/embeddings": Embeddings,
    "/audio/transcriptions": Transcriptions,
    "/messages": Anthropic,
    "/responses": Responses,
    "/api/chat": Ollama,
    # Amazon's, as far as LiteLLM passes it on unread: without its event stream encoding.
    "/invoke": Anthropic,
    _AMAZON_STREAM: Anthropic,
}
# The tool that an answer calls; "" is the first that the request names.
_CALLING = {"calls_tool": "", "calls_unknown_tool": "nobody-s"}
# Stands in a request that brings the result of a tool.
FOLLOW_UP = '"function_call_output"'
_USUAL_WORDS = re.compile(rb"scripted \d{3}")
_RST_ON_CLOSE = struct.pack("ii", 1, 0)

RUNS: dict[str, Run] = defaultdict(Run)


async def answer(request: web.Request) -> web.StreamResponse:
    raw, body = await _asked(request)
    if request.path.endswith(mcp.PATH) and body["method"] != mcp.CALL:
        return mcp.around(body)
    found = _wire(request, body)
    if found is None:
        raise web.HTTPNotFound(text=f"no protocol for {request.path}")
    wire, model, streamed = found
    script = scripts.find(raw, "follow-up" if FOLLOW_UP in raw else model)
    if script.shape in _CALLING:
        tool = _CALLING[script.shape] or _first_tool(body)
        wire = ToolCalling(model, tool=tool, marks=scripts.marks(raw))
    run = RUNS[script.run]
    attempt = run.enter()
    act = _Act(request, script.at(attempt), run, wire)
    try:
        return await act.play(streamed=streamed)
    finally:
        run.leave(answered=act.done)


async def _asked(request: web.Request) -> tuple[str, dict[str, Any]]:
    """The body as text, and what it says; of a form its fields, without its file."""
    if request.content_type == "multipart/form-data":
        fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        return "".join(fields.values()), {**fields, "stream": fields.get("stream") == "true"}
    raw = await request.text()
    return raw, json.loads(raw) if raw else {}


def _first_tool(body: dict[str, Any]) -> str:
    return str(body["tools"][0]["name"])


def _wire(request: web.Request, body: dict[str, Any]) -> tuple[Wire, str, bool] | None:
    path = request.path
    google = GEMINI_PATH.search(path)
    if google:
        streamed = path.endswith(":streamGenerateContent")
        model = google["model"] or "gemini"
        return Gemini(model, events=request.query.get("alt") == "sse"), model, streamed
    if path.endswith(mcp.PATH):
        return mcp.ToolCall(body), "tool", False
    if (called := agent.asked_at(path, body)) is not None:
        return called, "agent", called.streamed
    model = str(body.get("model", ""))
    kind = next((kind for end, kind in _WIRES.items() if path.endswith(end)), None)
    streamed = bool(body.get("stream")) or path.endswith(_AMAZON_STREAM)
    return (kind(model), model, streamed) if kind else None


class _Act:
    """One request, played by its script."""

    def __init__(self, request: web.Request, script: Script, run: Run, wire: Wire) -> None:
        self._request = request
        self._script = script
        self._run = run
        self._wire = wire
        self.done = False

    async def play(self, *, streamed: bool) -> web.StreamResponse:
        await asyncio.sleep(self._script.delay)
        if self._script.stalls("headers"):
            await self._run.stall()
        if self._script.break_by == "unanswered":
            self.done = True
            self._drop()
        if self._script.status:
            self.done = True
            return self._refusal()
        return await (self._stream() if streamed else self._plain())

    def _refusal(self) -> web.Response:
        after = {"Retry-After": str(self._script.retry_after)} if self._script.retry_after else {}
        failure = self._worded(json.dumps(self._refused()).encode())
        return web.Response(body=failure, status=self._script.status, headers=after, content_type="application/json")

    def _refused(self) -> dict[str, Any]:
        """The body of a refusal; by a code of OpenAI's it is named so twice, as OpenAI does it."""
        if not self._script.error_as.startswith(FAILED):
            return self._wire.failure(self._script.status)
        code = self._script.error_as.removeprefix(FAILED)
        return {"error": {"message": f"scripted {code}", "type": code, "param": None, "code": code}}

    def _worded(self, error: bytes) -> bytes:
        """An error in the words of the script."""
        if self._script.says < 0:
            return error
        words = json.dumps(sentences.said(self._script.says))[1:-1].encode()
        return _USUAL_WORDS.sub(lambda _: words, error)

    async def _plain(self) -> web.StreamResponse:
        if self._script.stall not in ("", "headers"):
            await self._run.stall()
        self.done = True
        if self._script.break_step >= 0 and self._script.break_by == "cut":
            return await self._half()
        if self._script.break_step >= 0:
            self._drop()
        script, wire = self._script, self._wire
        if script.error_step != 0:
            return web.json_response(wire.plain(script.chunks))
        error = self._worded(json.dumps(wire.failure(script.error_status)).encode())
        return web.Response(body=error, content_type="application/json")

    async def _half(self) -> web.StreamResponse:
        """Half a body of which the headers have told the length."""
        body = json.dumps(self._wire.plain(self._script.chunks)).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = web.StreamResponse(headers=headers)
        await response.prepare(self._request)
        await response.write(body[: len(body) // 2])
        self._drop()
        return response

    async def _stream(self) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": self._wire.content_type})
        await response.prepare(self._request)
        for step in range(self._script.chunks + 1):
            if self._script.stalls(step):
                await self._run.stall()
            if await self._mishap(step, response):
                return response
            await response.write(self._frame(step))
            await asyncio.sleep(self._script.gap)
        if self._script.stalls("end"):
            await self._run.stall()
        self.done = True
        await response.write_eof()
        return response

    def _frame(self, step: int) -> bytes:
        shape, wire = self._script.shape, self._wire
        before = wire.opening() if step == 0 else shapes.inside(shape, wire) if step == 1 else b""
        last = step == self._script.chunks
        return before + (shapes.ending(shape, wire, step) if last else wire.chunk(step))

    async def _mishap(self, step: int, response: web.StreamResponse) -> bool:
        if step == self._script.error_step:
            await response.write(self._worded(self._error(step)))
        elif step != self._script.break_step:
            return False
        self.done = True
        if step == self._script.error_step or self._script.break_by == "end":
            await response.write_eof()
        else:
            self._drop()
        return True

    def _error(self, step: int) -> bytes:
        shape, status = self._script.error_as, self._script.error_status
        if not shape:
            return self._wire.error_event(status)
        if shape.startswith(FAILED) and isinstance(self._wire, Responses):
            opening = b"" if step else self._wire.opening()
            return opening + self._wire.failed(shape.removeprefix(FAILED))
        if shape.startswith(told.TOLD):
            return told.ALL[shape.removeprefix(told.TOLD)].frames
        if shape == "opened":
            return self._wire.opening() + self._wire.error_event(status)
        return misshapen.error(shape, self._wire, status, self._frame(step))

    def _drop(self) -> None:
        transport = self._request.transport
        if transport is None:
            return
        if self._script.break_by in ("reset", "unanswered"):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        transport.abort()


async def stats(request: web.Request) -> web.Response:
    return web.json_response(asdict(RUNS[request.match_info["run"]].counts))


async def release(request: web.Request) -> web.Response:
    RUNS[request.match_info["run"]].release()
    return await stats(request)


async def wait(request: web.Request) -> web.Response:
    wanted = {name: int(value) for name, value in request.query.items()}
    within = float(request.match_info["within"])
    try:
        await asyncio.wait_for(RUNS[request.match_info["run"]].wait(wanted), within)
    except asyncio.TimeoutError:
        return web.json_response(asdict(RUNS[request.match_info["run"]].counts), status=504)
    return await stats(request)


async def converse(request: web.Request) -> web.StreamResponse:
    return await sockets.converse(request, RUNS)


async def token(request: web.Request) -> web.Response:
    """What a service account of Google's gets for its signature."""
    return web.json_response({"access_token": "provider-token", "expires_in": 3600, "token_type": "Bearer"})


def application() -> web.Application:
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_get("/_control/{run}", stats)
    app.router.add_post("/_control/{run}/release", release)
    app.router.add_get("/_control/{run}/wait/{within}", wait)
    app.router.add_post("/token", token)
    app.router.add_get("/{agent}/.well-known/agent-card.json", agent.card)
    for end in sockets.LAST:
        app.router.add_get(f"/v1{end}", converse)
    app.router.add_post("/{path:.*}", answer)
    return app


async def serve(port: int, secure_port: int, certificate: str) -> None:
    runner = web.AppRunner(application(), handler_cancellation=True, access_log=None)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    await web.TCPSite(runner, LOOPBACK, port).start()
    await web.TCPSite(runner, LOOPBACK, secure_port, ssl_context=tls).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
