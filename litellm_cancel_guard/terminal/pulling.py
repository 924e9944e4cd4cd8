"""Pulls a stream's chunks: as they come, within a time, or at the latest after a silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.completion import finish
from litellm_cancel_guard.terminal.failure import GATEWAY_TIMEOUT, Failure, ProviderStreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable

# How long a pull that nobody waits for any more may take to notice that it was cancelled.
_CANCEL_SECONDS = 1.0


class NotYetError(Exception):
    """No chunk came within the time given; the pull goes on, and the next one returns its chunk."""


class Pulling:
    """One stream. Between two chunks it is silent for `idle_timeout` seconds at most; 0: for as long as it likes."""

    def __init__(self, response: AsyncIterable[Any], idle_timeout: float) -> None:
        self._next = response.__aiter__().__anext__
        self._idle = idle_timeout
        self._pending: asyncio.Task[Any] | None = None

    async def first(self) -> Any:
        """Return the first chunk, however long it takes."""
        return await self._next()

    async def within(self, seconds: float | None) -> Any:
        """Return the next chunk.

        Raises:
            NotYetError: it did not come within *seconds*; None waits for as long as it takes.
            StopAsyncIteration: the stream has ended.
        """
        # A pull can't be given up without cancelling the provider's call: it goes on in a task of its own, as every
        # pull does in LiteLLM from 1.98 on.
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._next())
        await asyncio.wait((self._pending,), timeout=seconds)
        if not self._pending.done():
            raise NotYetError
        done, self._pending = self._pending, None
        return done.result()

    def next(self) -> Awaitable[Any]:
        """Return what awaits the next chunk.

        Raises, when awaited:
            ProviderStreamError: the stream was silent for too long; it has been cancelled.
            StopAsyncIteration: the stream has ended.
        """
        return self._watched() if self._idle or self._pending is not None else self._next()

    async def _watched(self) -> Any:
        if self._pending is not None:
            try:
                return await self.within(self._idle or None)
            except NotYetError:
                raise _silent(self._idle) from None
        with anyio.move_on_after(self._idle):
            return await self._next()
        raise _silent(self._idle)

    async def cancel(self) -> None:
        """Give up a pull that is under way."""
        pending, self._pending = self._pending, None
        if pending is not None and not pending.done():
            pending.cancel()
            await finish(pending, within=_CANCEL_SECONDS)


def _silent(seconds: float) -> ProviderStreamError:
    return ProviderStreamError(Failure(GATEWAY_TIMEOUT, f"The provider's stream was silent for {seconds:g} seconds."))
