"""Arrivals at a fixed rate, counted from when they were due; windows in which a request failed."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from benchmarks.open_loop import Arrivals, ask, play
from benchmarks.stage import Plan
from benchmarks.windows import MOST, TroubledError, Windows
from tests.harness.process import LOOPBACK, free_port
from tests.harness.provider.script import word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@dataclass
class Played:
    number: int
    failed: int


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves what answers in this process, until the test is over."""
    runners = []

    async def start(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        port = free_port()
        await web.TCPSite(runners[-1], LOOPBACK, port).start()
        return f"http://{LOOPBACK}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


def test_requests_are_due_at_even_distances_whatever_becomes_of_them() -> None:
    assert _arrivals("", rate=4.0, seconds=1.5).due() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert _arrivals("", rate=0.1, seconds=1.0).due() == [0.0]


async def test_what_was_due_while_nobody_was_served_is_late_by_all_the_time_that_it_had_to_wait(serve: Serve) -> None:
    """Here the clients stand still with the server, and begin late: they count from when they should have begun."""
    numbers, served_again = itertools.count(), []

    async def answer(request: web.Request) -> web.StreamResponse:
        if next(numbers) == 0:
            time.sleep(0.4)  # noqa: ASYNC251 -- that the event loop stands still is what it is about
            served_again.append(time.monotonic())
        return web.Response(text=word(0))

    arrivals = _arrivals(await serve(answer), rate=50.0, seconds=0.4)
    arrived = await ask(arrivals)
    assert (arrived.failed, len(arrived.whole)) == (0, 20)
    ends = [arrived.begun + due + late for due, late in zip(arrivals.due(), arrived.whole, strict=True)]
    assert min(ends) >= served_again[0]


async def test_an_answer_that_lacks_its_content_and_a_server_that_hangs_up_count_as_failed(serve: Serve) -> None:
    asked = iter(range(4))

    async def answer(request: web.Request) -> web.StreamResponse:
        number = next(asked)
        if number == 1:
            return web.Response(text=word(0), status=503)
        if number == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="nothing" if number == 3 else word(0))

    arrived = await asyncio.to_thread(play, _arrivals(await serve(answer), rate=10.0, seconds=0.4))
    assert (arrived.failed, len(arrived.whole)) == (3, 1)


def test_a_window_with_a_failed_request_is_played_again_and_counted() -> None:
    windows, played = Windows(), iter([Played(1, failed=2), Played(2, failed=1), Played(3, failed=0)])
    assert windows.untroubled(lambda: next(played)).number == 3
    assert windows.thrown == 2


def test_windows_that_fail_on_end_are_given_up_and_say_so() -> None:
    windows, played = Windows(), iter(Played(number, failed=number) for number in range(1, 10))
    with pytest.raises(TroubledError, match=f"in {MOST} windows on end, in the last of them {MOST}"):
        windows.untroubled(lambda: next(played))
    assert next(played).number == MOST + 1


def test_a_quick_plan_starts_the_proxies_as_often_as_there_is_time_for_and_once_in_any_case() -> None:
    def starts(plan: Plan) -> int:
        count = 0
        for _ in plan.anew(0.02):
            count += 1
            time.sleep(0.03)
        return count

    assert starts(Plan(quick=True)) == 1
    assert starts(Plan(starts=3)) == 3
    assert Plan(quick=True).rounds == 1


def _arrivals(url: str, *, rate: float, seconds: float) -> Arrivals:
    return Arrivals(url, "[[run=a]]", ["sk-a", "sk-b"], rate, seconds)
