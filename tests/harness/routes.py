"""The routes of the proxy that count requests, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.keys import Key

Json = dict[str, Any]

SERVER_ID = "the one of the config"


def _chat(model: str, text: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def _messages(model: str, text: str) -> Json:
    return {**_chat(model, text), "max_tokens": 64}


def _prompt(model: str, text: str) -> Json:
    return {"model": model, "prompt": text}


def _input(model: str, text: str) -> Json:
    return {"model": model, "input": text}


def _tool_call(tool: str, text: str) -> Json:
    """As an MCP client sends it."""
    params = {"name": tool, "arguments": {"text": text}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _tool_by_rest(tool: str, text: str) -> Json:
    return {"server_id": SERVER_ID, "name": tool, "arguments": {"text": text}}


def _status_of_tool(status: int, text: str) -> int:
    """An MCP answer is a 200 whatever happened; the error is in the result."""
    if "max_parallel_requests" in text:
        return 429
    return status if '"isError":false' in text.replace(" ", "") else max(status, 500)


def _input_with_tools(model: str, text: str) -> Json:
    """LiteLLM calls the tool itself, and asks the model again with what it answered."""
    ours = {"type": "mcp", "server_label": "litellm", "server_url": "litellm_proxy", "require_approval": "never"}
    return {**_input(model, text), "tools": [ours]}


def _contents(model: str, text: str) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


@dataclass(frozen=True)
class Route:
    """How to ask on one route, and what a whole stream of it ends with."""

    name: str
    path: str
    model: str
    build: Callable[[str, str], Json] = field(repr=False)
    terminal: str = "[DONE]"
    stream_path: str = ""
    """Where asking for a stream is another path, not a field of the body."""
    key_header: str = "Authorization"
    streams: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    status: Callable[[int, str], int] = field(default=lambda status, text: status, repr=False)
    """What an answer's status and text mean, where a refusal is a 200."""
    patience: float = 0.0
    """Seconds after the provider's answer when its clients hang up, where LiteLLM may leave them without; 0: never."""
    since: tuple[int, ...] = (0,)
    """The first LiteLLM that has it."""
    form: bool = False
    """Whether it is asked with a form and a file, and not with JSON."""

    def request(self, key: Key, text: str, *, stream: bool) -> tuple[str, Json, dict[str, str]]:
        """Path, body and headers."""
        body = self.build(self.model, text)
        if stream and not self.stream_path:
            body["stream"] = True
        bearer = "Bearer " if self.key_header == "Authorization" else ""
        headers = {self.key_header: f"{bearer}{key.secret}", **dict(self.headers)}
        return (self.stream_path if stream and self.stream_path else self.path), body, headers

    def content(self, body: Json) -> Json:
        """How httpx is told to send that body."""
        return {"data": body, "files": {"file": ("speech.wav", b"RIFF")}} if self.form else {"json": body}

    def __str__(self) -> str:
        return self.name


_MCP = (("Accept", "application/json, text/event-stream"),)
_ANTHROPIC = (("anthropic-version", "2023-06-01"),)
_GEM = "models/gem"
_FLASH = "models/gemini-2.0-flash"

_ALL = (
    Route("chat", "/v1/chat/completions", "gpt", _chat),
    Route("chat_claude", "/v1/chat/completions", "claude", _chat),
    Route("chat_gem", "/v1/chat/completions", "gem", _chat),
    Route("text", "/v1/completions", "text", _prompt),
    Route("messages", "/v1/messages", "gpt", _messages, "message_stop", headers=_ANTHROPIC),
    Route("messages_claude", "/v1/messages", "claude", _messages, "message_stop", headers=_ANTHROPIC),
    Route("responses", "/v1/responses", "gpt", _input, "response.completed"),
    Route(
        "genai",
        f"/v1beta/{_GEM}:generateContent",
        "gem",
        _contents,
        "STOP",
        stream_path=f"/v1beta/{_GEM}:streamGenerateContent?alt=sse",
        key_header="x-goog-api-key",
    ),
    Route(
        "pass_anthropic",
        "/anthropic/v1/messages",
        "claude-3-5-haiku-20241022",
        _messages,
        "message_stop",
        headers=_ANTHROPIC,
    ),
    Route(
        "pass_gemini",
        f"/gemini/v1beta/{_FLASH}:generateContent",
        "gemini-2.0-flash",
        _contents,
        "STOP",
        stream_path=f"/gemini/v1beta/{_FLASH}:streamGenerateContent?alt=sse",
        key_header="x-goog-api-key",
    ),
    Route("pass_custom", "/custom", "custom", _chat),
    Route("embed", "/v1/embeddings", "embed", _input, streams=False),
    # 1.80 answers only the first call of a proxy: its session manager ends with the task of that request. Up to 1.102
    # none is answered whose tool's server failed, because the client of mcp 1 cancels the task that called it.
    Route(
        "mcp",
        "/mcp/",
        "tools-scripted",
        _tool_call,
        streams=False,
        headers=_MCP,
        status=_status_of_tool,
        patience=5,
        since=(1, 83),
    ),
    Route("mcp_rest", "/mcp-rest/tools/call", "scripted", _tool_by_rest, streams=False, status=_status_of_tool),
    Route("responses_tools", "/v1/responses", "gpt", _input_with_tools, "response.completed"),
    Route("fallback", "/v1/chat/completions", "first-choice", _chat),
)

# Amazon's own, passed through: no cell of the matrix, which has bare LiteLLM's figures for the routes above alone.
_HAIKU = "/bedrock/model/haiku"
_BEDROCK = Route(
    "pass_bedrock",
    f"{_HAIKU}/invoke",
    "haiku",
    _messages,
    "message_stop",
    stream_path=f"{_HAIKU}/invoke-with-response-stream",
)

ROUTES = {route.name: route for route in (*_ALL, _BEDROCK)}

# Streamed since 1.110 (proxy/proxy_server.py `transcription_event_stream`); no cell of the matrix either.
TRANSCRIPTION = Route(
    "transcription", "/v1/audio/transcriptions", "listener", _prompt, "transcript.text.done", since=(1, 110), form=True
)


@dataclass(frozen=True)
class SocketRoute:
    """A session over WebSocket, of turns that the client asks for."""

    name: str
    path: str
    model: str
    ask: Callable[[str], Json] = field(repr=False)
    terminal: str
    since: tuple[int, ...] = (0,)
    """The first LiteLLM that has it."""

    def __str__(self) -> str:
        return self.name


def _realtime_turn(text: str) -> Json:
    return {"type": "response.create", "response": {"instructions": text}}


def _responses_turn(text: str) -> Json:
    return {"type": "response.create", "model": "live", "input": text}


_ALL_SOCKETS = (
    SocketRoute("realtime", "/v1/realtime", "live", _realtime_turn, "response.done"),
    SocketRoute("responses_ws", "/v1/responses", "live", _responses_turn, "response.completed", since=(1, 83)),
)

SOCKETS = {route.name: route for route in _ALL_SOCKETS}

# Passed through to OpenAI, where `enable_openai_websocket_passthrough` is set; no cell of the matrix.
PASSED_SOCKET = SocketRoute(
    "realtime_passed", "/openai_passthrough/v1/realtime", "live", _realtime_turn, "response.done", since=(1, 103)
)
