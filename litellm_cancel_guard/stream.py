"""The guarded stream: owns the lease of a streamed response, and ends it in an error that its client understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.closing import Closer, Stoppable
from litellm_cancel_guard.host.going_on import goes_on
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator

    from litellm_cancel_guard.lease.routes import IsLast
    from litellm_cancel_guard.terminal.outcome import Outcome

    End = Callable[[Ending], Awaitable[None]]
    Follow = Callable[[Closer | None], None]
    Part = tuple[AsyncIterable[Any], Callable[[Any], bool] | None, Callable[[Any], Iterable[Any]]]


async def guarded(
    response: AsyncIterable[Any],
    end: End,
    is_last: IsLast | None,
    outcome: Outcome | None = None,
    follow: Follow = lambda _: None,
) -> AsyncGenerator[Any, None]:
    """Yield what *response* yields, unchanged, and end its request before the last chunk is out.

    With an *outcome*, a failure is that last chunk; without one, it is raised as it was. *follow* is given what closes
    the stream when it is first read, and None when it has ended.

    A generator that was never started runs no ``finally``, and up to 1.105 one that is abandoned runs it only when
    it is collected (Starlette closes no body): the request task's end is the backstop for both.
    """
    ending, ended = Ending.CLIENT_LEFT, False
    closer = Closer(response)
    follow(closer)
    event: Any = None
    chunks = response if outcome is None else outcome.chunks(response, closer.arrived)
    try:
        try:
            with Stoppable(closer):
                for part, passes, sort in _parts(chunks, outcome, is_last):
                    async for chunk in part:
                        # Asked more of each chunk, a busy worker's streams pay for it thousands of times a second.
                        if passes is None or passes(chunk):
                            yield chunk
                        else:
                            for healthy in sort(chunk):
                                await _end_if_last(healthy, is_last, closer, end)
                                yield healthy
                        if not closer.looked_again:
                            closer.look_again()
            ending = Ending.COMPLETED
        except Exception as error:
            ending = Ending.PROVIDER_FAILED
            await closer.close_stopped(chunks)
            if outcome is None:
                raise
            # The slot is free before the error is out; a client that asks again at once finds it so.
            await end(ending)
            ended = True
            event = await _last_event(outcome, error)
            await closer.close()
        # Out of the handler: LiteLLM makes a plain answer of a first event and reads no further. An error that holds
        # the frame that holds it is left to the garbage collector, and with it LiteLLM's stream (`raise_failure`).
        if event is not None:
            yield event
    finally:
        try:
            # First, or for a moment the provider would have this request and the one that gets its slot.
            await _close_what_is_left(closer, chunks, ending)
        finally:
            follow(None)
            _say_its_end(outcome)
            if not ended:
                await end(ending)


def _parts(chunks: AsyncIterable[Any], outcome: Outcome | None, is_last: IsLast | None) -> Iterator[Part]:
    """Yield each part of a stream: its chunks, what tells that one goes out as it is, and what sorts the others."""
    passes = None if is_last is None else lambda chunk: not is_last(chunk)
    yield chunks, passes, _alone
    if outcome is not None and outcome.rest is not None:
        yield outcome.rest, outcome.passes or passes, outcome.sorted
        if outcome.passes is not None:
            yield outcome.left(), passes, _alone


def _alone(chunk: Any) -> Iterable[Any]:
    return (chunk,)


async def _end_if_last(chunk: Any, is_last: IsLast | None, closer: Closer, end: End) -> None:
    if is_last is not None and is_last(chunk):
        closer.goes_on = closer.holds(goes_on)
        if not closer.goes_on:
            await end(Ending.COMPLETED)


def _say_its_end(outcome: Outcome | None) -> None:
    if outcome is not None:
        outcome.end()


async def _close_what_is_left(closer: Closer, chunks: AsyncIterable[Any], ending: Ending) -> None:
    if ending is Ending.CLIENT_LEFT:
        await closer.close(chunks, client_left=True)
    elif ending is Ending.COMPLETED:
        closer.close_unread()


async def _last_event(outcome: Outcome, error: Exception) -> Any:
    """Return the event that ends the stream, or raise where LiteLLM itself answers better, or where there is none."""
    log.warning("cancel_guard: a stream failed: %s", type(error).__name__)
    try:
        better = outcome.better_raised(error)
        if better is None:
            return await outcome.last_event(error)
    except Exception:
        log.exception("cancel_guard: a failed stream got no last event of its own")
        raise error from None
    raise better from (None if better is error else error)
