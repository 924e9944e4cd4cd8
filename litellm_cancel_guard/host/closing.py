"""Closes what is left of a stream that nobody will read: its iterators, and the provider's connection under them."""

from __future__ import annotations

import asyncio
import gc
from functools import lru_cache
from itertools import compress
from types import AsyncGeneratorType, FrameType
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.completion import begin, finish
from litellm_cancel_guard.redaction import for_client
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.failure import ProviderStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from litellm_cancel_guard.terminal.failure import Failure


# How long closing may hold up the end of a request whose client has left.
_CLOSE_SECONDS = 1.0
# LiteLLM wraps a response in about six iterators; what is found beyond that is no longer a stream.
_MOST_OBJECTS = 64
_READS_ON = "async_sse_wrapper"


class Closer:
    """Knows the provider's connection under a stream, to close both when nobody will read it any more.

    In 1.83 most of LiteLLM's iterators have no ``aclose``, or one that does not reach the connection
    (litellm_core_utils/streaming_handler.py, responses/streaming_iterator.py): the provider would go on writing, and
    its customer paying, until the garbage collector comes by.

    Attributes:
        looked_again: whether `look_again` was called.
        goes_on: whether its last event has come, for its client, and LiteLLM may still have more.
        stopped: what the stream is to end in, whatever its provider does; None while it goes its own way.
        spares: tells of a part of the stream that its connection stays open when the client leaves.
    """

    def __init__(self, stream: Any) -> None:
        """Look for the connection under *stream* before it is read: a generator that was cancelled has nothing left."""
        self._stream = stream
        self._parts = _found_under([stream])
        self.looked_again = self.goes_on = False
        self.stopped: Failure | None = None
        self.spares: Callable[[Any], bool] = lambda _: False

    @property
    def open(self) -> bool:
        """Tell whether a connection under the stream is known that nobody has closed or read to its end."""
        return any(_is_response(part) and not part.is_closed for part in self._parts)

    def received(self) -> int:
        """Return how many bytes the provider has sent, as far as that is counted (httpx)."""
        return sum(part.num_bytes_downloaded for part in self._parts if _is_response(part))

    def arrived(self) -> int:
        """Return the same of a stream in whose place a fallback may have come: another connection is looked for."""
        if not self.open:
            self._parts = _found_under(self._parts)
        return self.received()

    def holds(self, is_one: Callable[[Any], bool]) -> bool:
        """Tell whether *is_one* is true of the stream, or of one that it wraps; to be asked when a chunk has come."""
        if not self.looked_again:
            self.look_again()
        return any(is_one(part) for part in self._parts)

    def look_again(self) -> None:
        """Look again when the first chunk has come: some streams ask their provider only for that.

        Raises:
            ProviderStreamError: the stream is to end; see `stop`.
        """
        if self.stopped is not None:
            raise ProviderStreamError(self.stopped)
        self.looked_again = True
        self._parts = _found_under(self._parts)

    def stop(self, failure: Failure, task: asyncio.Task[Any] | None) -> None:
        """Have the stream end in *failure*: in *task*, which waits for its next chunk, or when that is asked for."""
        self.stopped, self.looked_again = failure, False
        if task is not None:
            task.cancel()

    def raise_stopped(self) -> None:
        """Raise ProviderStreamError in the place of what `stop` has caused; nothing if the stream goes its own way.

        Not the exception itself is kept: it would be in a cycle with the frames that it is raised through.
        """
        if self.stopped is not None:
            uncancel = getattr(asyncio.current_task(), "uncancel", None)
            if uncancel is not None:
                uncancel()
            raise ProviderStreamError(self.stopped)

    def raise_stopped_for(self, error: BaseException) -> None:
        """Raise the same in the place of *error*: the cancellation that `stop` caused, or what LiteLLM made of it."""
        if not (isinstance(error, ProviderStreamError) and error.failure is self.stopped):
            self.raise_stopped()

    async def close_stopped(self, *wrappers: Any) -> None:
        """Close what `stop` has ended, before its slot is another's; what has failed by itself is over already."""
        if self.stopped is not None:
            await self.close(*wrappers)

    def close_soon(self) -> None:
        """Close in a task of its own what is still open: nobody reads it any more, and nobody waits for this."""
        if self.open:
            begin(self.close)

    def close_unread(self) -> None:
        """Close, behind a whole answer, what LiteLLM has not read to its end, and nobody will (up to 1.98 at least)."""
        if self.open and not any(map(self.spares, self._parts)):
            begin(self.close)

    async def close(self, *wrappers: Any, client_left: bool = False) -> None:
        """Close *wrappers*, the stream and what lies under it, within a second; raises nothing but a cancellation.

        *client_left*: for no other reason, so that the connection may be spared.
        """
        parts = [] if client_left and any(map(self.spares, self._parts)) else _found_under(self._parts)
        connections = [part for part in parts if _is_response(part) or _is_body(part)]
        found = {id(found): found for found in (*wrappers, self._stream, *connections)}
        try:
            await finish(begin(_close_all, found.values()), within=_CLOSE_SECONDS)
        except Exception as error:
            log.debug("cancel_guard: closing an abandoned stream raised %s", for_client(repr(error)))


def spare_for_the_bill(closer: Closer | None) -> None:
    """Leave a connection open that LiteLLM reads on when its client leaves: Bedrock's messages, 1.103 - 1.109.

    Closed, it books the words so far, and a failure, where the provider bills the whole answer.
    """
    if closer is not None:
        closer.spares = lambda part: type(part) is AsyncGeneratorType and part.ag_code.co_name == _READS_ON


def leave_to_others(closer: Closer | None) -> None:
    """Leave every connection open: who holds the slot closes it, and a callback between may read on."""
    if closer is not None:
        closer.spares = lambda _: True


async def _close_all(streams: Iterable[Any]) -> None:
    for stream in streams:
        aclose = getattr(stream, "aclose", None)
        if aclose is None or getattr(stream, "is_closed", False) is True:
            continue
        try:
            await aclose()
        except Exception as error:
            log.debug("cancel_guard: closing an abandoned stream raised %s", for_client(repr(error)))


def _found_under(streams: list[Any]) -> list[Any]:
    try:
        return list(_reachable(streams))
    except Exception as error:
        # An attribute of a type that can't be looked up is no reason for a request to fail.
        log.debug("cancel_guard: what lies under a stream can't be seen: %s", for_client(repr(error)))
        return streams


def _reachable(streams: Iterable[Any]) -> Iterator[Any]:
    """Return *streams*, what they wrap, and the HTTP responses that they read from."""
    waiting, seen = list(streams), set[int]()
    while waiting and len(seen) < _MOST_OBJECTS:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if not _is_response(found):
            parts = list(_parts(found))
            waiting.extend(compress(parts, map(_is_part_type, map(type, parts))))


def _parts(stream: Any) -> Iterable[Any]:
    # What stands in for one says that it is one.
    if type(stream) is not AsyncGeneratorType:
        kind: Any = type(stream)
        slots = (getattr(stream, name, None) for name in _slots(kind))
        return [*getattr(stream, "__dict__", {}).values(), *slots]
    # What an `async for` iterates over is in no local variable; only the collector sees it (3.10: in the frame).
    found = gc.get_referents(stream)
    return found + gc.get_referents(*(part for part in found if isinstance(part, FrameType)))


# What LiteLLM puts between a callback's stream and its own has no __dict__ (1.103 - 1.109, `_UpstreamStreamBoundary`).
@lru_cache(maxsize=1024)
def _slots(kind: Any) -> tuple[str, ...]:
    named = (base.__dict__.get("__slots__", ()) for base in kind.__mro__)
    each = (name for names in named for name in ((names,) if isinstance(names, str) else names))
    return tuple(name for name in each if not name.startswith("__"))


# By type, and kept: every stream is looked through twice, and it is the same few types each time.
@lru_cache(maxsize=1024)
def _is_part_type(kind: Any) -> bool:
    return hasattr(kind, "__anext__") or hasattr(kind, "__aiter__") or _is_response_type(kind)


@lru_cache(maxsize=1024)
def _is_response_type(kind: Any) -> bool:
    # The newest openai SDKs stand on httpx2 (3.57).
    return bool(kind.__module__.partition(".")[0] in ("httpx", "httpx2") and kind.__name__ == "Response")


def _is_response(value: Any) -> bool:
    kind: Any = type(value)
    return _is_response_type(kind)


def _is_body(value: Any) -> bool:
    """Tell LiteLLM's body of a response by aiohttp, which 1.80 hands to httpx in a wrapper that closes nothing."""
    return type(value).__name__ == "AiohttpResponseStream"
