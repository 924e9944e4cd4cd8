"""Pulls a stream's chunks: as they come, those of its opening within a time, or at the latest after a silence."""

from __future__ import annotations

from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.completion import begin_now, finish
from litellm_cancel_guard.terminal.failure import ProviderStreamError, cut_off

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.aio.completion import Work
    from litellm_cancel_guard.terminal.vigil import Vigil

# How long a pull that nobody waits for any more may take to notice that it was cancelled.
_CANCEL_SECONDS = 1.0


class NotYetError(Exception):
    """Not enough came within the time given; the pull goes on, and the next one returns its chunk."""


class Pulling:
    """One stream; with a *vigil*, it is as long silent between two chunks as that allows."""

    def __init__(self, response: AsyncIterable[Any], vigil: Vigil | None = None) -> None:
        self._chunks = response.__aiter__()
        self._next = self._chunks.__anext__
        self._vigil = vigil
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
        if self._vigil is not None:
            return self._watched(self._vigil)
        return self._next() if self._pending is None else self._begun(self._pending)

    def rest(self) -> AsyncIterator[Any] | None:
        """Return what is left as the stream itself has it; None where a silence ends it, or a pull is under way."""
        if self._vigil is not None or self._pending is not None:
            return None
        return self._chunks if _can_be_read_on(type(self._chunks)) else None

    async def _watched(self, vigil: Vigil) -> Any:
        try:
            with vigil.begin():
                chunk = await (self._next() if self._pending is None else self._begun(self._pending))
                vigil.came(chunk)
                return chunk
        finally:
            vigil.end()
        raise ProviderStreamError(vigil.failure or cut_off())

    async def _begun(self, pending: Work[Any]) -> Any:
        await pending.wait(None)
        return self._taken()

    def _taken(self) -> Any:
        """Return, once, what the pending pull has brought."""
        done, self._pending = self._pending, None
        return done.result() if done is not None else None

    async def cancel(self) -> None:
        """Give up a pull that is under way."""
        if self._vigil is not None:
            self._vigil.stop()
        pending, self._pending = self._pending, None
        if pending is not None and not pending.is_set():
            pending.cancel()
            await finish(pending, within=_CANCEL_SECONDS)


def _can_be_read_on(kind: Any) -> bool:
    """Tell whether another `async for` goes on where the one before stopped.

    It asks for `__aiter__` again. A callback's own iterator may have none, or begin anew there, and its first chunks
    would go out twice.
    """
    if kind is AsyncGeneratorType:
        return True
    code = getattr(getattr(kind, "__aiter__", None), "__code__", None)
    return code is not None and not code.co_names
