"""nginx is told to hand on a stream as it comes, and of any other answer nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.passthrough import _closed_when_served
from litellm_cancel_guard.host.serving import Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
NAME = b"x-accel-buffering"


async def chunks() -> AsyncIterator[bytes]:
    yield b""


async def begun(*headers: tuple[bytes, bytes], noted: bool = False) -> list[bytes]:
    """What the server is told of buffering by an answer that begins with *headers*."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def app(_: Any, __: Any, send: Any) -> None:
        if noted:
            _closed_when_served(chunks())
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    await asyncio.create_task(Noted(app)(dict(POST), None, send))
    return [value for name, value in messages[0]["headers"] if name.lower() == NAME]


@pytest.mark.parametrize(
    "kind", [b"text/event-stream", b"text/event-stream; charset=utf-8", b"application/vnd.amazon.eventstream"]
)
async def test_a_stream_is_not_to_be_buffered(kind: bytes) -> None:
    assert await begun((b"Content-Type", kind)) == [b"no"]


async def test_a_stream_that_is_passed_through_in_a_type_of_its_own_is_not_to_be_buffered() -> None:
    assert await begun((b"content-type", b"application/json"), noted=True) == [b"no"]


async def test_what_an_operator_has_said_stays() -> None:
    assert await begun((b"content-type", b"text/event-stream"), (b"X-Accel-Buffering", b"yes")) == [b"yes"]


async def test_of_any_other_answer_nothing_is_said() -> None:
    assert await begun((b"content-type", b"application/json")) == []
    assert await begun() == []
