"""Calls that each wait for a round trip are made some at a time."""

from __future__ import annotations

import asyncio

import pytest

from litellm_cancel_guard.aio.each import each


async def test_some_are_under_way_at_once_and_their_answers_keep_the_order() -> None:
    running, most = 0, 0

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return 2 * number

    assert await each(double, range(20)) == list(range(0, 40, 2))
    assert most == 8


async def test_what_one_raises_comes_when_those_beside_it_are_done() -> None:
    done = []

    async def refuse_the_first(number: int) -> None:
        if number == 0:
            raise ConnectionError
        await asyncio.sleep(0)
        done.append(number)

    with pytest.raises(ConnectionError):
        await each(refuse_the_first, range(20))
    assert done == list(range(1, 8))
