"""A guarded stream is the stream it was, and its slot is back before its last chunk is out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.aio.inside import task_inside
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.lease.routes import LAST_FRAME
from litellm_cancel_guard.stream import guarded
from litellm_cancel_guard.terminal.failure import Failure, ProviderStreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from litellm_cancel_guard.host.closing import Closer


class Provider:
    """A stream that yields, then stalls, fails or ends, and knows whether it was closed."""

    def __init__(self, *chunks: Any, then: Exception | None = None, stalls: bool = False) -> None:
        self.chunks = chunks
        self.then = then
        self.stalls = stalls
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[Any]:
        for chunk in self.chunks:
            yield chunk
        if self.stalls:
            await asyncio.Event().wait()
        if self.then is not None:
            raise self.then

    async def aclose(self) -> None:
        self.closed += 1


class Endings(list[Ending]):
    async def __call__(self, ending: Ending) -> None:
        await asyncio.sleep(0)
        self.append(ending)


async def test_chunks_pass_as_the_objects_they_are_and_the_request_is_completed() -> None:
    chunks = (object(), b"bytes", "text", {"a": "dict"}, None)
    endings = Endings()

    passed = [chunk async for chunk in guarded(Provider(*chunks), endings, None)]
    assert all(one is other for one, other in zip(passed, chunks, strict=True))
    assert endings == [Ending.COMPLETED]


@pytest.mark.parametrize(
    ("route", "last"),
    [("anthropic_messages", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'), ("aresponses", "completed")],
)
async def test_the_slot_is_back_before_the_frame_at_which_clients_go_on(route: str, last: Any) -> None:
    if last == "completed":
        last = type("Completed", (), {"type": "response.completed"})()
    endings = Endings()
    seen = [(chunk, list(endings)) async for chunk in guarded(Provider(b"one", last), endings, LAST_FRAME[route])]

    assert seen == [(b"one", []), (last, [Ending.COMPLETED])]


async def test_a_failing_stream_fails_as_it_did_and_its_slot_is_back_first() -> None:
    failure, endings = ValueError("provider"), Endings()

    with pytest.raises(ValueError, match="provider") as raised:
        _ = [chunk async for chunk in guarded(Provider(1, then=failure), endings, None)]
    assert raised.value is failure
    assert endings == [Ending.PROVIDER_FAILED]


async def test_a_client_that_leaves_while_it_waits_closes_the_provider() -> None:
    provider, endings = Provider(1, stalls=True), Endings()
    got_one = asyncio.Event()

    async def read() -> None:
        async for _ in guarded(provider, endings, None):
            got_one.set()

    task = asyncio.create_task(read())
    await got_one.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (endings, provider.closed) == ([Ending.CLIENT_LEFT], 1)


async def test_a_client_that_leaves_between_two_chunks_closes_the_provider() -> None:
    provider, endings = Provider(1, 2), Endings()
    stream = guarded(provider, endings, None)
    await stream.__anext__()

    await stream.aclose()
    assert (endings, provider.closed) == ([Ending.CLIENT_LEFT], 1)


async def test_a_provider_that_cannot_be_closed_hides_nothing() -> None:
    class Broken(Provider):
        async def aclose(self) -> None:
            raise RuntimeError("aclose(): asynchronous generator is already running")

    endings = Endings()
    stream = guarded(Broken(1, 2), endings, None)
    await stream.__anext__()

    await stream.aclose()
    assert endings == [Ending.CLIENT_LEFT]


def told_of(provider: Provider, endings: Endings) -> tuple[AsyncGenerator[Any, None], list[Closer]]:
    closers: list[Closer] = []

    def follow(closer: Closer | None) -> None:
        if closer is not None:
            closers.append(closer)

    return guarded(provider, endings, None, None, follow), closers


async def test_a_stream_that_is_stopped_between_two_chunks_ends_in_the_failure_when_the_next_is_asked_for() -> None:
    provider, endings = Provider("one", "two"), Endings()
    stream, closers = told_of(provider, endings)
    assert await anext(stream) == "one"
    closers[0].stop(Failure(503, "ended"), None)
    with pytest.raises(ProviderStreamError, match="ended"):
        await anext(stream)
    assert (provider.closed, endings) == (1, [Ending.PROVIDER_FAILED])


async def test_a_stream_that_is_stopped_while_it_waits_ends_in_the_failure_and_its_task_goes_on() -> None:
    provider, endings = Provider("one", stalls=True), Endings()
    stream, closers = told_of(provider, endings)
    assert await anext(stream) == "one"

    async def read() -> str:
        with pytest.raises(ProviderStreamError, match="ended"):
            await anext(stream)
        await asyncio.sleep(0)
        return "went on"

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    closers[0].stop(Failure(503, "ended"), task_inside(stream))
    assert await reading == "went on"
    assert (provider.closed, endings) == (1, [Ending.PROVIDER_FAILED])


@pytest.mark.parametrize("made", [RuntimeError("a bad gateway"), None])
async def test_a_stopped_stream_ends_in_that_failure_whatever_its_iterators_make_of_it(made: Exception | None) -> None:
    """LiteLLM maps what ends a stream; and a generator that ends at a cancellation looks whole."""

    class Swallowing(Provider):
        async def _chunks(self) -> AsyncIterator[Any]:
            yield "one"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if made is not None:
                    raise made from None

    provider, endings = Swallowing(), Endings()
    stream, closers = told_of(provider, endings)
    assert await anext(stream) == "one"

    async def read() -> str:
        with pytest.raises(ProviderStreamError, match="ended"):
            await anext(stream)
        await asyncio.sleep(0)
        return "went on"

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    closers[0].stop(Failure(503, "ended"), task_inside(stream))
    assert await reading == "went on"
    assert (provider.closed, endings) == (1, [Ending.PROVIDER_FAILED])


async def test_a_cancellation_that_is_nobodys_order_stays_one() -> None:
    provider, endings = Provider("one", stalls=True), Endings()
    stream, _ = told_of(provider, endings)
    assert await anext(stream) == "one"
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert endings == [Ending.CLIENT_LEFT]
