"""The routes of the proxy that count requests, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.keys import Key

Json = dict[str, Any]


def _chat(model: str, text: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def _messages(model: str, text: str) -> Json:
    return {**_chat(model, text), "max_tokens": 64}


def _prompt(model: str, text: str) -> Json:
    return {"model": model, "prompt": text}


def _input(model: str, text: str) -> Json:
    return {"model": model, "input": text}


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

    def request(self, key: Key, text: str, *, stream: bool) -> tuple[str, Json, dict[str, str]]:
        """Path, body and headers."""
        body = self.build(self.model, text)
        if stream and not self.stream_path:
            body["stream"] = True
        bearer = "Bearer " if self.key_header == "Authorization" else ""
        headers = {self.key_header: f"{bearer}{key.secret}", **dict(self.headers)}
        return (self.stream_path if stream and self.stream_path else self.path), body, headers

    def __str__(self) -> str:
        return self.name


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
    Route("fallback", "/v1/chat/completions", "first-choice", _chat),
)

ROUTES = {route.name: route for route in _ALL}
