"""Pulls a stream's chunks: as they come, those of its opening within a time, or at the latest after a silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.aio.completion import begin_now, finish
from litellm_cancel_guard.terminal.failure import GATEWAY_TIMEOUT, Failure, ProviderStreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.aio.completion import Work

# How long a pull that nobody waits for any more may take to notice that it was cancelled.
_CANCEL_SECONDS = 1.0


class NotYetError(Exception):
    """Not enough came within the time given; the pull goes on, and the next one returns its chunk."""


class Pulling:
    """One stream. Between two chunks it is silent for `idle_timeout` seconds at most; 0: for as long as it likes."""

    def __init__(self, response: AsyncIterable[Any], idle_timeout: float) -> None:
        self._chunks = response.__aiter__()
        self._next = self._chunks.__anext__
        self._idle = idle_timeout
        self._pending: Work[Any] | None = None
        self._late = False

    async def first(self) -> Any:
        """Return the first chunk, however long it takes."""
        return await self._next()

    async def until(self, enough: Callable[[Any], bool], seconds: float) -> None:
        """Pull chunk after chunk, handing each to *enough*, until that is true of one.

        Raises:
            NotYetError: it was true of none within *seconds*.
            StopAsyncIteration: the stream has ended.
        """
        # A pull can't be given up without cancelling the provider's call: it goes on in a task of its own, as every
        # pull does in LiteLLM from 1.98 on. One task for all of them, since each costs turns of the event loop.
        self._pending = begin_now(self._pull_until, enough)
        if not await self._pending.wait(seconds):
            self._late = True
            raise NotYetError
        self._taken()

    async def _pull_until(self, enough: Callable[[Any], bool]) -> Any:
        while True:
            chunk = await self._next()
            if self._late or enough(chunk):
                return chunk

    def next(self) -> Awaitable[Any]:
        """Return what awaits the next chunk.

        Raises, when awaited:
            ProviderStreamError: the stream was silent for too long; it has been cancelled.
            StopAsyncIteration: the stream has ended.
        """
        return self._watched() if self._idle or self._pending is not None else self._next()

    def rest(self) -> AsyncIterator[Any] | None:
        """Return what is left as the stream itself has it; None where a silence ends it, or a pull is under way."""
        if self._idle or self._pending is not None:
            return None
        # Read on by another `async for`, it is asked for its `__aiter__`, which a callback's own may not have.
        return self._chunks if hasattr(type(self._chunks), "__aiter__") else None

    async def _watched(self) -> Any:
        if self._pending is not None:
            if not await self._pending.wait(self._idle or None):
                raise _silent(self._idle)
            return self._taken()
        with anyio.move_on_after(self._idle):
            return await self._next()
        raise _silent(self._idle)

    def _taken(self) -> Any:
        """Return, once, what the pending pull has brought."""
        done, self._pending = self._pending, None
        return done.result() if done is not None else None

    async def cancel(self) -> None:
        """Give up a pull that is under way."""
        pending, self._pending = self._pending, None
        if pending is not None and not pending.is_set():
            pending.cancel()
            await finish(pending, within=_CANCEL_SECONDS)


def _silent(seconds: float) -> ProviderStreamError:
    return ProviderStreamError(Failure(GATEWAY_TIMEOUT, f"The provider's stream was silent for {seconds:g} seconds."))
