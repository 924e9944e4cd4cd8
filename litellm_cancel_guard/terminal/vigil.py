"""How long a stream has been silent, or has brought nothing but pings: asked now and then, and never of each chunk.

A ping that is LiteLLM's own is no sign of a provider's life (1.109, `/v1/messages`: one each 15 s in mid-stream,
agentic_streaming_iterator.py), and a provider's comment is one although no chunk comes of it (DeepSeek's and
OpenRouter's `: keep-alive`). So what counts is what the connection has brought, where that is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.terminal.failure import GATEWAY_TIMEOUT, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

# Looked so often within the shorter of the two times.
_LOOKS = 4
_LONGEST_PING = 256
# What brings more bytes a second than this is no ping: an image comes in a frame of megabytes.
_PING_BYTES = 256


class Vigil:
    """One stream's; its timer runs only while a chunk is waited for.

    Args:
        idle: seconds for which nothing at all may come; 0: any.
        pings: seconds for which nothing but pings and comments may come; 0: any.
        received: how many bytes the provider has sent, as far as that is known.

    Attributes:
        failure: why the wait under way was given up; None where it was not.
    """

    def __init__(self, idle: float, pings: float, received: Callable[[], int]) -> None:
        self._idle, self._pings = idle, pings
        self._received = received
        self._every = min(seconds for seconds in (idle, pings) if seconds) / _LOOKS
        self._bytes = 0
        self._content_at = self._alive_at = self._out_at = self._looked_at = 0.0
        self._scope: anyio.CancelScope | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._said = True
        self.failure: Failure | None = None

    def begin(self) -> anyio.CancelScope:
        """Begin to wait for a chunk, within what is returned."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._said:
            self._content_at = self._alive_at = now
        else:
            # A client that reads slowly keeps its provider waiting.
            self._content_at += now - self._out_at
            self._alive_at = self._alive_at + now - self._out_at if self._received() else now
        if self._timer is None:
            self._bytes, self._looked_at = self._received(), now
            self._timer = loop.call_later(self._every, self._look)
        self._scope = anyio.CancelScope()
        return self._scope

    def came(self, chunk: Any) -> None:
        """Take note of *chunk*, which was waited for."""
        self._said = not is_ping(chunk)

    def end(self) -> None:
        """Wait no more, be it that something has come or not."""
        self._scope, self._out_at = None, asyncio.get_running_loop().time()

    def stop(self) -> None:
        """Look no more: the stream is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._scope is None:
            return
        loop = asyncio.get_running_loop()
        now, received = loop.time(), self._received()
        brought, before = received - self._bytes, self._looked_at
        self._bytes, self._looked_at = received, now
        if brought > 0:
            self._alive_at = now
        if brought > _PING_BYTES * max(now - before, 1):
            self._content_at = now
        self.failure = self._given_up(now, pinged=self._alive_at >= before)
        if self.failure is not None:
            self._scope.cancel()
            return
        soonest = self._alive_at + self._idle - now if self._idle else self._every
        self._timer = loop.call_later(max(min(self._every, soonest), 0.001), self._look)

    def _given_up(self, now: float, *, pinged: bool) -> Failure | None:
        if self._idle and now - self._alive_at >= self._idle:
            return Failure(GATEWAY_TIMEOUT, f"The provider's stream was silent for {self._idle:g} seconds.")
        if self._pings and pinged and now - self._content_at >= self._pings:
            words = f"The provider's stream brought nothing but pings for {self._pings:g} seconds."
            return Failure(GATEWAY_TIMEOUT, words)
        return None


def is_ping(chunk: Any) -> bool:
    """Tell whether *chunk* is a ping of Anthropic's, or nothing but comments."""
    if not isinstance(chunk, bytes | str) or len(chunk) > _LONGEST_PING:
        return False
    text = chunk if isinstance(chunk, str) else chunk.decode(errors="replace")
    return all(
        line in ("", "event: ping") or line.startswith((":", 'data: {"type": "ping"', 'data: {"type":"ping"'))
        for line in text.splitlines()
    )
