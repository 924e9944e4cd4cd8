"""One stream and how it may end: what goes out of it, and, if it fails, its last event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.terminal.calls import failure_of_call
from litellm_cancel_guard.terminal.events import Protocol, call_error, opening_error, polled_error, terminal_error
from litellm_cancel_guard.terminal.failure import (
    RATE_LIMITED,
    Failure,
    ProviderStreamError,
    before_anything,
    failure_of,
)
from litellm_cancel_guard.terminal.pulling import NotYetError, Pulling
from litellm_cancel_guard.terminal.sighting import delay_before
from litellm_cancel_guard.terminal.sorting import Sorter
from litellm_cancel_guard.terminal.vigil import Vigil

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator

    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.sighting import Sighting

# Opening frames are held back this long, and this many bytes or chunks of them, so that a failure before the first
# content is a plain answer with its own status. A keep-alive is late by so much at most, the first content never.
HOLD_SECONDS = 2.0
_HOLD_BYTES = 64 * 1024
_HOLD_CHUNKS = 32
# What LiteLLM makes an answer of by itself before a stream has begun, with all that a guardrail says in it.
_ANSWERED_BY_LITELLM = ("HTTPException", "ModifyResponseException", "GuardrailRaisedException")


class Outcome:
    """A stream of one route; `chunks` hands on what is healthy and raises whatever kind of failure ends it.

    Attributes:
        observer: is told of the failure.
        ended: is told of the end of a stream whether it was cut, unless that is told elsewhere.
        rest: what follows the `chunks`; each is asked `passes`, `sorted` if that is false, and at its end comes what is
            `left`. None where they were all.
        polled: LiteLLM itself reads the stream, for an answer that its client asks for by an id.
        answered_in_anthropics_protocol: tells whether LiteLLM makes Anthropic's answer of a failure before the stream.
    """

    def __init__(
        self,
        protocol: Protocol,
        settings: Settings,
        sighting: Sighting,
        report: Callable[[Exception], Awaitable[Exception | None]],
    ) -> None:
        self._protocol = protocol
        self._idle, self._pings = settings.idle_timeout, settings.ping_timeout
        self._sighting = sighting
        self._report = report
        self._sorter = Sorter(protocol, tell_truncation=settings.on_truncation == "error")
        self._begun = False
        self.rest: AsyncIterator[Any] | None = None
        self.polled = False
        self.observer = Observer()
        self.ended: Callable[[bool], None] = _make_nothing_of_it
        self.answered_in_anthropics_protocol: Callable[[], bool] = _is_not

    def answers(self, call: Any) -> None:
        """Be the stream that answers the JSON-RPC *call*, by its id; an event of it may say another."""
        self._sorter.begun.call = call

    async def chunks(
        self, response: AsyncIterable[Any], received: Callable[[], int] = int
    ) -> AsyncGenerator[Any, None]:
        """Yield the chunks of *response*, the very objects, until it ends or fails, or there is a `rest`.

        `end` is to be called when it is over.

        *received* tells how many bytes its provider has sent, 0 where that is not known.

        Raises:
            ProviderStreamError: the stream reported a failure, was cut or was silent for too long.
            Exception: what *response* raised.
        """
        # An agent is silent while it works; LiteLLM's bridge says "working" before it has asked its model (1.110).
        watched = (self._idle or self._pings) and self._protocol is not Protocol.A2A
        vigil = Vigil(self._idle, self._pings, received) if watched else None
        pulling = Pulling(response, vigil)
        try:
            chunks, ended = await self._opening(pulling)
            if self._sorter.failed is not None and not self._sorter.content:
                chunks = []
            while True:
                for chunk in chunks:
                    self._begun = True
                    yield chunk
                if ended or self._sorter.failed is not None:
                    break
                if self._begun and self._sorter.content and (rest := pulling.rest()) is not None:
                    # One layer less for each of the many chunks behind the first content.
                    self.rest = rest
                    return
                try:
                    chunks = self._sorter.push(await pulling.next())
                except StopAsyncIteration:
                    chunks, ended = self._at_its_end(), True
            self._raise_failed()
        finally:
            await pulling.cancel()

    @property
    def passes(self) -> Callable[[Any], bool] | None:
        """What tells in well under a microsecond that a chunk of the `rest` goes out as it is; None: each does."""
        return self._sorter.passes

    def sorted(self, pulled: Any) -> Iterator[Any]:
        """Yield what may go out now that *pulled*, a chunk of the `rest`, has come.

        Raises:
            ProviderStreamError: it reports a failure.
        """
        yield from self._sorter.push(pulled)
        self._raise_failed()

    async def left(self) -> AsyncIterator[Any]:
        """Yield what is left when the `rest` has ended.

        Raises:
            ProviderStreamError: the stream was cut.
        """
        for chunk in self._at_its_end():
            yield chunk
        self._raise_failed()

    def _at_its_end(self) -> list[Any]:
        if self._protocol is Protocol.A2A and self._sighting.final_said:
            self._sorter.told_whole()
        return self._sorter.end()

    def _raise_failed(self) -> None:
        if self._sorter.failed is not None:
            raise ProviderStreamError(self._sorter.failed)

    def end(self) -> None:
        """Say whether it was cut; who knows the end when he sees it leaves there, before the connection has ended."""
        if self._sighting.counted:
            return
        if self._sorter.cut is not None:
            self.ended(self._sorter.cut)
        elif self._sorter.whole:
            self.ended(False)

    def better_raised(self, error: Exception) -> Exception | None:
        """Return what to raise instead of ending the stream, where LiteLLM itself makes the better answer of it."""
        if self._begun or self.polled:
            return None
        if type(error).__name__ in _ANSWERED_BY_LITELLM:
            return error
        if self._protocol is Protocol.MESSAGES and self.answered_in_anthropics_protocol():
            failure = self._failure(error)
            self._sighting.retry_after = self._delay_before(failure)
            return ProviderStreamError(failure)
        return None

    async def last_event(self, error: Exception) -> str | dict[str, Any]:
        """Return the event that ends the stream which *error* has ended, once LiteLLM has been told of the failure."""
        replaced = await self._report(error)
        failure = self._failure(error if replaced is None else replaced)
        self._sighting.retry_after = self._delay_before(failure)
        if self._protocol is Protocol.A2A:
            return call_error(failure, self._sorter.begun.call)
        if self.polled:
            return polled_error(failure, self._sorter.begun)
        if self._begun:
            return terminal_error(self._protocol, failure, self._sorter.begun)
        return opening_error(self._protocol, failure)

    async def _opening(self, pulling: Pulling) -> tuple[list[Any], bool]:
        """Return the chunks up to the first content, or as many as can be held, and whether that is all."""
        held: list[Any] = []

        def enough(chunk: Any) -> bool:
            held.extend(self._sorter.push(chunk))
            return self._sorter.content or self._sorter.failed is not None or not _may_hold(held)

        try:
            if not enough(await pulling.first()):
                await pulling.until(enough, HOLD_SECONDS)
        except NotYetError:
            return held, False
        except StopAsyncIteration:
            return held + self._at_its_end(), True
        return held, False

    def _delay_before(self, failure: Failure) -> float | None:
        return delay_before(failure, responses=self._protocol is Protocol.RESPONSES)

    def _failure(self, error: Exception) -> Failure:
        failure = failure_of_call(error) if self._protocol is Protocol.A2A else failure_of(error)
        failure = failure if self._begun else before_anything(failure)
        if failure.retry_after is None and failure.status == RATE_LIMITED:
            failure = replace(failure, retry_after=self._sighting.delay)
        self._sighting.final = failure.final
        self.observer.stream_failed(self._protocol.value, failure.status)
        return failure


def _make_nothing_of_it(_: bool) -> None:
    """Count no end."""


def _is_not() -> bool:
    return False


def _may_hold(held: list[Any]) -> bool:
    size = sum(len(chunk) for chunk in held if isinstance(chunk, bytes | str))
    return len(held) < _HOLD_CHUNKS and size < _HOLD_BYTES
