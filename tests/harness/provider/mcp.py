"""An MCP server with one tool, `scripted`, over streamable HTTP: as much of the protocol as LiteLLM's client asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from tests.harness.provider.script import words

Json = dict[str, Any]

PATH = "/mcp"
TOOL = "scripted"
CALL = "tools/call"
_METHOD_NOT_FOUND = -32601


@dataclass(frozen=True)
class ToolCall:
    """A tool's answer; never streamed."""

    asked: Json
    content_type: ClassVar[str] = "application/json"

    def plain(self, chunks: int) -> Json:
        return self._result(words(chunks))

    def failure(self, status: int) -> Json:
        """The tool ran and failed."""
        return self._result(f"scripted {status}", isError=True)

    def opening(self) -> bytes:
        raise NotImplementedError

    def chunk(self, index: int) -> bytes:
        raise NotImplementedError

    def closing(self, chunks: int) -> bytes:
        raise NotImplementedError

    def error_event(self, status: int) -> bytes:
        raise NotImplementedError

    def _result(self, text: str, **more: Any) -> Json:
        return _answer(self.asked, result={"content": [{"type": "text", "text": text}], **more})


def around(asked: Json) -> web.Response:
    """What comes before and after a call: the handshake, the list of tools, notifications."""
    if "id" not in asked:
        return web.Response(status=202)
    if asked["method"] == "initialize":
        said = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}}}
        return web.json_response(_answer(asked, result={**said, "serverInfo": {"name": "provider", "version": "1"}}))
    if asked["method"] == "tools/list":
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        return web.json_response(_answer(asked, result={"tools": [{"name": TOOL, "inputSchema": schema}]}))
    return web.json_response(_answer(asked, error={"code": _METHOD_NOT_FOUND, "message": "Method not found"}))


def _answer(asked: Json, **more: Any) -> Json:
    return {"jsonrpc": "2.0", "id": asked["id"], **more}
