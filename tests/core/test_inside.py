"""The task that an async generator runs in is found, whatever lies between."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from litellm_cancel_guard.aio.inside import task_inside

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    Reads = Callable[[AsyncGenerator[int, None]], Coroutine[Any, Any, None]]


class Wrapped:
    """As LiteLLM wraps a stream: an iterator with a coroutine for each chunk."""

    def __init__(self, stream: AsyncIterator[int]) -> None:
        self._stream = stream

    def __aiter__(self) -> Wrapped:
        return self

    async def __anext__(self) -> int:
        return await asyncio.wait_for(self._stream.__anext__(), 60)


async def _plainly(stream: AsyncGenerator[int, None]) -> None:
    async for _ in stream:
        pass


async def _wrapped(stream: AsyncGenerator[int, None]) -> None:
    async def outer() -> AsyncIterator[int]:
        async for chunk in Wrapped(stream):
            yield chunk

    async for _ in outer():
        pass


async def _by_anext(stream: AsyncGenerator[int, None]) -> None:
    await anext(stream, None)


async def _in_a_group(stream: AsyncGenerator[int, None]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_plainly, stream)


@pytest.mark.parametrize("reads", [_plainly, _wrapped, _by_anext, _in_a_group])
async def test_a_cancellation_of_the_task_that_is_found_arrives_in_the_generator(reads: Reads) -> None:
    waits, arrived = asyncio.Event(), asyncio.Event()

    async def generator() -> AsyncGenerator[int, None]:
        waits.set()
        try:
            await asyncio.Event().wait()
            yield 1
        except asyncio.CancelledError:
            arrived.set()
            raise

    stream, others = generator(), [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]
    assert task_inside(stream) is None, "nobody reads it yet"
    reading = asyncio.create_task(reads(stream))
    await waits.wait()
    task = task_inside(stream)
    assert task is not None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    assert arrived.is_set()
    assert not any(other.done() for other in others)
    for other in others:
        other.cancel()


async def test_nobody_is_inside_of_a_generator_that_waits_to_be_asked() -> None:
    async def generator() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    stream = generator()
    await anext(stream)
    assert task_inside(stream) is None
    await stream.aclose()
