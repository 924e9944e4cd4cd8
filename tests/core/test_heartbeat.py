"""It beats whatever happens, and at its loop's end what is held is given back."""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.ledger.heartbeat import Heartbeat
from litellm_cancel_guard.ledger.observer import Observer

if TYPE_CHECKING:
    import pytest


class Beats:
    """Counts what a heartbeat does, fails on demand, and lets a test wait for the next beat."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.renewed = 0
        self.given_back = 0
        self.beaten = asyncio.Semaphore(0)

    async def renew(self) -> None:
        self.renewed += 1
        self.beaten.release()
        if self.failures:
            raise self.failures.pop(0)

    async def give_back(self) -> None:
        await asyncio.sleep(0)
        self.given_back += 1

    async def beats(self, count: int) -> None:
        for _ in range(count):
            await asyncio.wait_for(self.beaten.acquire(), 2)


class Lateness(Observer):
    def __init__(self) -> None:
        self.most = 0.0

    def beat(self, late: float) -> None:
        self.most = max(self.most, late)


async def test_no_exception_stops_it(caplog: pytest.LogCaptureFixture) -> None:
    beats = Beats(GaugeUnavailableError("away"), RuntimeError("a fault of ours"))
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: 0.001)
    with caplog.at_level(logging.WARNING):
        heartbeat.start()
        await beats.beats(4)

    assert "away" in caplog.text
    assert "a fault of ours" in caplog.text
    await end(heartbeat)


async def test_starting_it_again_keeps_the_one_that_beats() -> None:
    beats = Beats()
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: 0.001)
    heartbeat.start()
    first = heartbeat._task
    heartbeat.start()

    assert heartbeat._task is first
    await end(heartbeat)


async def test_it_keeps_nothing_of_the_request_that_started_it() -> None:
    served, seen = ContextVar("served", default="nothing"), []
    beats = Beats()

    async def renew() -> None:
        seen.append(served.get())
        await beats.renew()

    heartbeat = Heartbeat(renew, beats.give_back, every=lambda: 0.001)
    served.set("the first request")
    heartbeat.start()
    await beats.beats(1)
    assert seen[0] == "nothing"
    await end(heartbeat)


async def test_it_says_when_the_loop_stood_still(caplog: pytest.LogCaptureFixture) -> None:
    beats = Beats()
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: 0.01)
    heartbeat.start()
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251 - the loop stands still: that is the case
    with caplog.at_level(logging.WARNING):
        await beats.beats(1)
    assert "the event loop was blocked" in caplog.text
    await end(heartbeat)


async def test_hurried_it_does_not_wait_for_the_beat_that_was_due() -> None:
    beats, pace = Beats(), [60.0]
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: pace[0])
    assert heartbeat.start()
    await asyncio.sleep(0)
    pace[0] = 0.001
    heartbeat.hurry()

    await beats.beats(3)
    await end(heartbeat)


async def test_slowed_down_it_beats_once_more_when_it_was_to() -> None:
    """What it renewed lapses as it was told then: at the new pace, every slot would be lost and given to others."""
    beats, pace = Beats(), [0.05]
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: pace[0])
    heartbeat.start()
    await beats.beats(1)
    pace[0] = 60.0
    heartbeat.hurry()

    await beats.beats(1)
    await asyncio.sleep(0.2)
    assert beats.renewed == 2, "and then at its new pace"
    await end(heartbeat)


async def test_slowed_down_during_a_beat_it_beats_once_more_when_it_was_to() -> None:
    beats, pace = Beats(), [0.05]

    async def renew() -> None:
        pace[0] = 60.0 if beats.renewed == 1 else pace[0]
        await beats.renew()

    heartbeat = Heartbeat(renew, beats.give_back, every=lambda: pace[0])
    heartbeat.start()
    await beats.beats(3)
    assert beats.renewed == 3
    await end(heartbeat)


async def test_hurried_it_is_not_late_for_what_it_could_not_know(caplog: pytest.LogCaptureFixture) -> None:
    beats, pace, late = Beats(), [60.0], Lateness()
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: pace[0])
    heartbeat.observer = late
    heartbeat.start()
    await asyncio.sleep(0.1)
    pace[0] = 0.02
    with caplog.at_level(logging.WARNING):
        heartbeat.hurry()
        await beats.beats(1)
    assert (caplog.records, late.most < 0.02) == ([], True)
    await end(heartbeat)


async def test_hurried_when_it_was_due_long_ago_it_is_late_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    beats = Beats()
    heartbeat = Heartbeat(beats.renew, beats.give_back, every=lambda: 0.01)
    heartbeat.start()
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251 - the loop stands still: that is the case
    heartbeat.hurry()
    with caplog.at_level(logging.WARNING):
        await beats.beats(1)
    assert "the event loop was blocked" in caplog.text
    await end(heartbeat)


async def test_a_beat_that_takes_long_is_followed_by_one_and_not_by_all_that_were_missed() -> None:
    beats = Beats()

    async def slow() -> None:
        await beats.renew()
        await asyncio.sleep(0.1 if beats.renewed == 1 else 0)

    heartbeat = Heartbeat(slow, beats.give_back, every=lambda: 0.02)
    heartbeat.start()
    await beats.beats(2)
    await asyncio.sleep(0.05)
    assert beats.renewed <= 5
    await end(heartbeat)


def test_when_its_loop_ends_what_is_held_is_given_back() -> None:
    beats: list[Beats] = []

    async def serve() -> None:
        beats.append(Beats())
        Heartbeat(beats[0].renew, beats[0].give_back, every=lambda: 10).start()
        await asyncio.sleep(0)

    asyncio.run(serve())
    assert beats[0].given_back == 1


async def end(heartbeat: Heartbeat) -> None:
    assert heartbeat._task is not None
    heartbeat._task.cancel()
    await asyncio.wait((heartbeat._task,))
