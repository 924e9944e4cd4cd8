"""One stream and how it may end: what goes out of it, and, if it fails, its last event."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import upstream_errors
from litellm_cancel_guard.terminal.events import Protocol, opening_error, terminal_error
from litellm_cancel_guard.terminal.failure import (
    BAD_GATEWAY,
    OVERLOADED,
    RATE_LIMITED,
    Failure,
    ProviderStreamError,
    failure_of,
)
from litellm_cancel_guard.terminal.frames import Frames, before_error
from litellm_cancel_guard.terminal.pulling import NotYetError, Pulling
from litellm_cancel_guard.terminal.reading import Reading, reading_of
from litellm_cancel_guard.terminal.wording import default_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.sighting import Sighting

log = logging.getLogger("LiteLLM Proxy")

# Opening frames are held back this long, and this many bytes or chunks of them, so that a failure before the first
# content is a plain answer with its own status. A keep-alive is late by so much at most, the first content never.
HOLD_SECONDS = 2.0
_HOLD_BYTES = 64 * 1024
_HOLD_CHUNKS = 32
# What LiteLLM makes an answer of by itself before a stream has begun, with all that a guardrail says in it.
_ANSWERED_BY_LITELLM = ("HTTPException", "ModifyResponseException", "GuardrailRaisedException")


class Outcome:
    """A stream of one route; `chunks` hands on what is healthy and raises whatever kind of failure ends it."""

    def __init__(
        self,
        protocol: Protocol,
        settings: Settings,
        sighting: Sighting,
        report: Callable[[Exception], Awaitable[Exception | None]],
    ) -> None:
        self._protocol = protocol
        self._settings = settings
        self._sighting = sighting
        self._report = report
        self._reading = reading_of(protocol)
        self._frames = Frames() if protocol in (Protocol.MESSAGES, Protocol.GENAI) else None
        self._begun = False
        self._failed: Failure | None = None

    async def chunks(self, response: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        """Yield the chunks of *response*, the very objects, until it ends or fails.

        Raises:
            ProviderStreamError: the stream reported a failure, was cut or was silent for too long.
            Exception: what *response* raised.
        """
        pulling = Pulling(response, self._settings.idle_timeout)
        try:
            async for chunk in self._pulled(pulling):
                self._begun = True
                yield chunk
            if self._failed is not None:
                raise ProviderStreamError(self._failed)
        finally:
            await pulling.cancel()

    async def _pulled(self, pulling: Pulling) -> AsyncGenerator[Any, None]:
        """Yield what may go out, up to where the stream ends or reports a failure."""
        held, ended = await self._opening(pulling)
        if self._failed is not None and not self._reading.content:
            return
        for chunk in held:
            yield chunk
        while not ended and self._failed is None:
            try:
                pulled = await pulling.next()
            except StopAsyncIteration:
                pulled, ended = self._rest(), True
            else:
                pulled = self._read(pulled)
            for chunk in pulled:
                yield chunk

    def better_raised(self, error: Exception) -> Exception | None:
        """Return what to raise instead of ending the stream, where LiteLLM itself makes the better answer of it."""
        if self._begun:
            return None
        if type(error).__name__ in _ANSWERED_BY_LITELLM:
            return error
        if self._protocol is Protocol.MESSAGES and upstream_errors.answers_in_anthropics_protocol():
            failure = self._failure(error)
            self._sighting.retry_after = failure.retry_after
            return ProviderStreamError(failure)
        return None

    async def last_event(self, error: Exception) -> str:
        """Return the event that ends the stream which *error* has ended, once LiteLLM has been told of the failure."""
        replaced = await self._report(error)
        failure = self._failure(error if replaced is None else replaced)
        self._sighting.retry_after = failure.retry_after
        if self._begun:
            return terminal_error(self._protocol, failure, self._reading.begun)
        return opening_error(failure)

    async def _opening(self, pulling: Pulling) -> tuple[list[Any], bool]:
        """Return the chunks up to the first content, or as many as can be held, and whether that is all."""
        held: list[Any] = []
        try:
            held += self._read(await pulling.first())
            until = time.monotonic() + HOLD_SECONDS
            while not self._reading.content and self._failed is None and _may_hold(held):
                held += self._read(await pulling.within(max(until - time.monotonic(), 0)))
        except NotYetError:
            return held, False
        except StopAsyncIteration:
            return held + self._rest(), True
        return held, False

    def _read(self, pulled: Any) -> list[Any]:
        """Return what of a pulled chunk may go out, and note a failure that it reports."""
        if self._frames is None:
            self._failed = self._seen(pulled)
            return [] if self._failed else [pulled]
        healthy: list[Any] = []
        for chunk in self._frames.push(pulled):
            self._failed = self._seen(chunk)
            if self._failed is not None:
                return [*healthy, *before_error(chunk)]
            healthy.append(chunk)
        return healthy

    def _seen(self, chunk: Any) -> Failure | None:
        try:
            failure = self._reading.read(chunk)
        except Exception:
            log.exception("cancel_guard: a chunk could not be read; its stream goes on unread")
            self._reading = Reading()
            return None
        sighted = self._sighting.failure
        if sighted is None or self._protocol is not Protocol.MESSAGES:
            return failure
        return sighted if failure is not None or self._reading.ending else None

    def _rest(self) -> list[Any]:
        """Return what is left when *response* has ended, if it ended as a whole stream does."""
        rest: list[Any] = [] if self._frames is None else list(self._frames.rest())
        for chunk in rest:
            self._failed = self._failed or self._seen(chunk)
        if self._failed is None and self._reading.cut and self._settings.on_truncation == "error":
            self._failed = self._sighting.failure or Failure(BAD_GATEWAY, default_message(BAD_GATEWAY))
        return [] if self._failed else rest

    def _failure(self, error: Exception) -> Failure:
        failure, sighted = failure_of(error), self._sighting.failure
        if sighted is not None and failure.status not in (RATE_LIMITED, OVERLOADED):
            return sighted
        return failure


def _may_hold(held: list[Any]) -> bool:
    size = sum(len(chunk) for chunk in held if isinstance(chunk, bytes | str))
    return len(held) < _HOLD_CHUNKS and size < _HOLD_BYTES
