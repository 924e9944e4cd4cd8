"""A deadline ends what is silent, and leaves what was answered while the event loop stood still."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from litellm_cancel_guard.aio.completion import Mark
from litellm_cancel_guard.aio.deadline import LAST_LOOK_SECONDS, Deadline


async def test_silence_is_ended_when_the_time_is_up() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Deadline(0.05):
            await asyncio.Event().wait()
    assert time.monotonic() - began >= 0.05 + LAST_LOOK_SECONDS - 0.005


@pytest.mark.parametrize("seconds", [0.06, 0.3])
async def test_an_answer_that_came_while_the_loop_stood_still_is_read(seconds: float) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def answer_and_stand_still() -> None:
        theirs.send(b"!")
        time.sleep(seconds)

    asyncio.get_running_loop().call_soon(answer_and_stand_still)
    async with Deadline(0.05):
        assert await reader.read(1) == b"!"
    writer.close()
    theirs.close()


async def test_what_takes_ten_turns_of_a_saturated_loop_is_waited_for() -> None:
    """Each turn is as long as what all requests of a worker have to do: by the clock, Redis would be away."""

    def serve_others() -> None:
        time.sleep(0.03)
        others[0] = asyncio.get_running_loop().call_soon(serve_others)

    others = [asyncio.get_running_loop().call_soon(serve_others)]
    try:
        async with Deadline(0.2):
            for _ in range(10):
                await asyncio.sleep(0)
        answered = Mark()
        for_others = asyncio.get_running_loop().call_later(0.3, answered.set)
        assert await answered.wait(0.2)
        for_others.cancel()
        with pytest.raises(TimeoutError):
            async with Deadline(0.2):
                await asyncio.Event().wait()
    finally:
        others[0].cancel()


async def test_a_cancellation_from_outside_is_one() -> None:
    async def wait() -> None:
        async with Deadline(5):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_is_done_in_time_is_left_alone_afterwards() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with Deadline(0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert complaints == []


async def test_an_error_in_it_is_raised_as_it_was() -> None:
    with pytest.raises(ValueError, match="wrong"):
        async with Deadline(5):
            raise ValueError("wrong")
