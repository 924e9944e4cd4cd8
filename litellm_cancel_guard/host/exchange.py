"""What a server tells of a request by its two functions, and who is told of a client that leaves."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.refused import Telling
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from litellm_cancel_guard.host.serving import Asked, Served

# In whole milliseconds.
WAITED = b"x-cancel-guard-waited-ms"
# nginx as it comes collects an answer until it has a page of it: of a pass-through stream that pauses its client sees
# nothing, and hangs up or asks again. LiteLLM says so of none that it passes through, and up to 1.88 of none at all
# (proxy/common_request_processing.py `create_response`).
_UNBUFFERED = (b"x-accel-buffering", b"no")
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/x-ndjson")


class Exchange:
    """A server's two functions, with what they tell of a request noted. Nothing is awaited that they do not await.

    What a refused client should know, and how long one has waited in line, is put into an answer that begins when that
    is known: one that LiteLLM's keep-alives open before (1.103 - 1.109) says neither. A server says that a
    client is gone to whoever asks it for the next message, and to nobody else. While a request waits for its slot,
    LiteLLM asks for none: the guard does, and the message is LiteLLM's when it does ask.

    Attributes:
        start: the message that began the answer; None before that.
    """

    __slots__ = ("__weakref__", "_asked", "_asking", "_coming", "_receive", "_send", "served", "start")

    def __init__(self, served: Served, asked: Asked, receive: Any, send: Any) -> None:
        self.served = served
        self.start: Any = None
        self._asked = asked
        self._receive = receive
        self._send = send
        self._coming: asyncio.Future[Any] | None = None
        self._asking = 0

    def send(self, message: Any) -> Any:
        """Hand *message* on. A chunk in the middle of a stream costs one look."""
        if not message.get("more_body"):
            if message["type"] == "http.response.body":
                self.served.sent_at = time.monotonic()
            elif message["type"] == "http.response.start":
                message = self._begin(message)
        return self._send(message)

    def _begin(self, message: Any) -> Any:
        try:
            if self._asked.waited:
                message = _with_wait(message, self._asked.waited)
            if self._asked.streamed or _is_stream(message):
                message = _unbuffered(message)
        except Exception:
            log.exception("cancel_guard: an answer goes out without what its headers should say")
        self.start = message
        if self._asked.refused is not None:
            self._send = Telling(self._asked.refused, self._send).send
        return message

    async def receive(self) -> Any:
        """Return what comes from the client."""
        coming = self._coming
        if coming is None:
            message = await self._receive()
        else:
            self._asking += 1
            try:
                message = await asyncio.shield(coming)
            finally:
                self._asking -= 1
            if self._coming is coming and not _is_goodbye(message):
                self._coming = None
        if _is_goodbye(message) and self.served.sent_at is None and self.served.gone_at is None:
            self.served.gone_at = time.monotonic()
        return message

    async def left(self) -> bool:
        """Wait until the client is gone; cancelled, ask the server no more. False if it still has to say more."""
        # A server with a queue (hypercorn) says so once, and never again to who asks when LiteLLM has heard it.
        if self.served.gone_at is not None:
            return True
        coming = self._coming
        if coming is None:
            coming = self._coming = asyncio.ensure_future(self._receive())
        try:
            return _is_goodbye(await asyncio.shield(coming))
        finally:
            # What somebody else waits for by now is his.
            if not coming.done() and not self._asking:
                self._coming = None
                coming.cancel()


def _with_wait(message: Any, seconds: float) -> Any:
    # An upstream that is guarded itself may have said so of its own line, and a pass-through route hands that on.
    others = [header for header in message.get("headers") or () if header[0].lower() != WAITED]
    # Not in the list itself: an application may answer more than once with the same one.
    return {**message, "headers": [*others, (WAITED, str(int(seconds * 1000)).encode())]}


def _is_stream(message: Any) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(_STREAMS)
        for name, value in message.get("headers") or ()
    )


def _unbuffered(message: Any) -> Any:
    headers = message.get("headers") or ()
    # What LiteLLM or an upstream behind nginx has said stays: an operator's header may be the other word.
    if any(name.lower() == _UNBUFFERED[0] for name, _ in headers):
        return message
    return {**message, "headers": [*headers, _UNBUFFERED]}


def _is_goodbye(message: Any) -> bool:
    return bool(message["type"] == "http.disconnect")
