"""LiteLLM's Redis client is looked up seldom, and never for another event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.host.limiter import gauges
from litellm_cancel_guard.host.limiter.gauges import LookedUp

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gauges, "time", clock)
    return clock


@pytest.fixture
def clients() -> Iterator[str]:
    return iter(["the first", "the second"])


async def test_it_is_looked_up_once_a_second(clock: Clock, clients: Iterator[str]) -> None:
    client = LookedUp(lambda: next(clients))

    assert client() == "the first"
    clock.now += 0.99
    assert client() == "the first"
    clock.now += 0.01
    assert client() == "the second"


def test_another_event_loop_gets_its_own(clock: Clock, clients: Iterator[str]) -> None:
    client = LookedUp(lambda: next(clients))

    async def use() -> str:
        return str(client())

    assert [asyncio.run(use()), asyncio.run(use())] == ["the first", "the second"]


async def test_a_look_up_that_fails_is_tried_again(clock: Clock) -> None:
    answers: Iterator[str | Exception] = iter([OSError("no Redis"), "the first"])

    def look_up() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = LookedUp(look_up)
    with pytest.raises(OSError, match="no Redis"):
        client()
    assert client() == "the first"
