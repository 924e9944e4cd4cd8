"""The connection under a stream is found through whatever wraps it, and closed with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from litellm_cancel_guard.host.closing import Closer, spare_for_the_bill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Wire(httpx.AsyncByteStream):
    """One chunk, and then silence."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"data: 1\n"
        await asyncio.Event().wait()


class Wrapper:
    """As the iterators of LiteLLM 1.83: no aclose, and asks only for its first chunk."""

    def __init__(self, response: httpx.Response, *, lazy: bool) -> None:
        self._response_of = {"provider": response}
        self.completion_stream: Any = None if lazy else response.aiter_lines()

    def __aiter__(self) -> Wrapper:
        return self

    async def __anext__(self) -> Any:
        if self.completion_stream is None:
            self.completion_stream = self._response_of["provider"].aiter_lines()
        return await self.completion_stream.__anext__()


async def through(stream: Any) -> AsyncIterator[Any]:
    async for chunk in stream:
        yield chunk


async def read_on(stream: Any, closer: Closer, first: asyncio.Event) -> None:
    async for _ in stream:
        closer.look_again()
        first.set()


async def closed_after_a_cancelled_read(*, lazy: bool) -> bool:
    response = httpx.Response(200, stream=Wire())
    stream = through(through(Wrapper(response, lazy=lazy)))
    closer, first = Closer(stream), asyncio.Event()
    reading = asyncio.create_task(read_on(stream, closer, first))
    await first.wait()
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait((reading,))
    await closer.close()
    return response.is_closed


async def test_it_is_closed_although_nothing_is_left_of_the_generators_above_it() -> None:
    assert await closed_after_a_cancelled_read(lazy=False)


async def test_it_is_found_where_the_provider_was_asked_only_for_the_first_chunk() -> None:
    assert await closed_after_a_cancelled_read(lazy=True)


async def test_a_stream_that_cannot_be_closed_hides_nothing_and_keeps_the_others_from_nothing() -> None:
    class Broken:
        async def aclose(self) -> None:
            raise RuntimeError("aclose(): asynchronous generator is already running")

    response = httpx.Response(200, stream=Wire())
    await Closer(response).close(Broken())
    assert response.is_closed


async def test_an_attribute_that_cannot_be_looked_up_fails_no_stream() -> None:
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Odd(metaclass=Unhashable):
        pass

    response = httpx.Response(200, stream=Wire())
    stream = Wrapper(response, lazy=False)
    stream.odd = Odd()  # type: ignore[attr-defined]
    closer = Closer(stream)
    closer.look_again()
    await closer.close(response)
    assert response.is_closed


class AiohttpResponseStream(Wire):
    """As LiteLLM 1.80's body of a response, which is there only once it is read."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


async def test_a_body_that_comes_with_the_first_chunk_is_closed_although_its_response_was_known() -> None:
    stream = Wrapper(httpx.Response(200, stream=Wire()), lazy=False)
    stream.response = stream._response_of["provider"]  # type: ignore[attr-defined]
    closer, body = Closer(stream), AiohttpResponseStream()
    assert closer.open
    stream.body = body  # type: ignore[attr-defined]
    closer.look_again()
    del stream.body  # type: ignore[attr-defined]

    await closer.close()
    assert body.closed


class Boundary:
    """As LiteLLM 1.109 puts one between a callback's stream and its own: no __dict__, and attributes of the other."""

    __slots__ = ("_upstream",)

    def __init__(self, upstream: Any) -> None:
        self._upstream = upstream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    def __aiter__(self) -> Any:
        return self._upstream.__aiter__()


async def test_it_is_found_behind_what_keeps_it_in_slots() -> None:
    response = httpx.Response(200, stream=Wire())
    closer = Closer(through(Boundary(through(Wrapper(response, lazy=False)))))
    assert closer.open
    await closer.close()
    assert response.is_closed


async def async_sse_wrapper(stream: Any) -> AsyncIterator[Any]:
    """Named as LiteLLM's, behind which it reads to the end although the client has left."""
    async for chunk in stream:
        yield chunk


@pytest.mark.parametrize("client_left", [False, True])
async def test_what_litellm_reads_on_for_its_bill_stays_open_when_the_client_leaves(*, client_left: bool) -> None:
    response = httpx.Response(200, stream=Wire())
    closer = Closer(async_sse_wrapper(Wrapper(response, lazy=False)))
    spare_for_the_bill(closer)
    await closer.close(client_left=client_left)
    assert response.is_closed != client_left
    await response.aclose()


async def test_any_other_is_closed() -> None:
    response = httpx.Response(200, stream=Wire())
    closer = Closer(through(Wrapper(response, lazy=False)))
    spare_for_the_bill(closer)
    await closer.close(client_left=True)
    assert response.is_closed
