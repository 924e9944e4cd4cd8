"""What a client whose request the guard refused is told, the same in every protocol: cause, cap, in flight, and when.

Most routes make their answer of a refusal without its headers, and none has room for data in it (1.80 - 1.110: text
completions, `/v1/messages`, pass-through and Gemini's, ``raise ProxyException(…)`` behind each route's own ``except``;
WebSockets close with "Pre-call error"). So it is put into what goes out: the headers, the ``error`` object of a JSON
body or of an event, the reason for which a socket closes. MCP has none of these, as a refused tool call is a whole
answer with a text, nor has an answer that keep-alives had opened before (1.103 - 1.110).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[Any], Awaitable[None]]

FIELD = "cancel_guard"
_RETRY_AFTER, _LENGTH, _KIND, _CODING = b"retry-after", b"content-length", b"content-type", b"content-encoding"
# An answer to a refusal is a sentence. What is longer is something else, and goes out as it is.
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal of the guard's.

    Attributes:
        status: what LiteLLM answers with.
        retry_after: whole seconds after which to ask again.
        cause: ``max_parallel_requests``, or ``count_unknown`` where nobody can tell what is in flight.
        limit: the cap; None where the cause is another.
        in_flight: the slots held when it was refused; None where nobody knows.
    """

    status: int
    retry_after: int
    cause: str
    limit: int | None = None
    in_flight: int | None = None

    def data(self) -> dict[str, Any]:
        """Return what a program reads; seconds."""
        said = {"cause": self.cause, "limit": self.limit, "in_flight": self.in_flight, "retry_after": self.retry_after}
        return {name: value for name, value in said.items() if value is not None}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the same as headers, for protocols whose body has no room."""
        rest = {f"x-cancel-guard-{name.replace('_', '-')}": str(value) for name, value in self.data().items()}
        rest["retry-after"] = rest.pop("x-cancel-guard-retry-after")
        return [(name.encode(), value.encode()) for name, value in rest.items()]

    def reason(self) -> str:
        """Return the same for the end of a WebSocket, in fewer than the 123 bytes it has (RFC 6455, 5.5)."""
        return " ".join(f"{name}={value}" for name, value in self.data().items())


class Telling:
    """Tells a client of its refusal in the ASGI messages of its answer; what is no such answer goes out as it is."""

    def __init__(self, refused: Refused, send: Send) -> None:
        self._refused = refused
        self._send = send
        self._start: Any = None
        self._body = b""
        self._through = False

    async def send(self, message: Any) -> None:
        """Send *message*, or keep it until the whole answer is there."""
        try:
            messages = self._instead(message)
        except Exception:
            log.exception("cancel_guard: a refusal goes out without what it should say")
            messages = self._as_they_are(message)
        for each in messages:
            await self._send(each)

    def _instead(self, message: Any) -> list[Any]:
        kind = message["type"]
        if kind == "websocket.send" and message.get("text"):
            return [{**message, "text": self._amended(message["text"])}]
        if kind == "websocket.close":
            return [{**message, "reason": self._refused.reason()}]
        if kind == "http.response.start" and not self._through:
            return self._started(message)
        if kind == "http.response.body" and self._start is not None:
            return self._grown(message)
        return [message]

    def _started(self, message: Any) -> list[Any]:
        self._through = True
        headers = {name.lower(): value for name, value in message["headers"]}
        ours = str(self._refused.retry_after).encode()
        if message["status"] != self._refused.status or headers.get(_RETRY_AFTER, ours) != ours:
            return [message]
        told = [(name, value) for name, value in message["headers"] if name.lower() != _RETRY_AFTER]
        message = {**message, "headers": [*told, *self._refused.headers()]}
        if not headers.get(_KIND, b"").startswith(b"application/json") or _CODING in headers:
            return [message]
        self._start = message
        return []

    def _grown(self, message: Any) -> list[Any]:
        self._body += message.get("body", b"")
        if message.get("more_body") and len(self._body) <= _MOST_BYTES:
            return []
        start, body, self._start = self._start, self._body, None
        if not message.get("more_body"):
            body = self._amended(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
            rest = [(name, value) for name, value in start["headers"] if name.lower() != _LENGTH]
            start = {**start, "headers": [*rest, (_LENGTH, str(len(body)).encode())]}
        return [start, {**message, "body": body}]

    def _amended(self, text: str) -> str:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return text
        error = said.get("error", said) if isinstance(said, dict) else None
        if not isinstance(error, dict):
            return text
        error[FIELD] = self._refused.data()
        return json.dumps(said, separators=(",", ":"))

    def _as_they_are(self, message: Any) -> list[Any]:
        start, self._start = self._start, None
        if start is None:
            return [message]
        return [start, {**message, "body": self._body} if message["type"] == "http.response.body" else message]
