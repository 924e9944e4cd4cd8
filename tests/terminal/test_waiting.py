"""Frames that are held back, and a provider that is silent: nobody waits longer than was said."""

from __future__ import annotations

import asyncio

import pytest

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.terminal import outcome as outcomes
from litellm_cancel_guard.terminal.events import Protocol
from tests.terminal.scripted import PROTOCOLS, Provider, Reader, begun, opening, whole


async def test_opening_frames_are_held_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HOLD_SECONDS", 0.05)
    go_on, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    chunks = whole(Protocol.MESSAGES)
    first = len(opening(Protocol.MESSAGES))
    reading = asyncio.create_task(reader.read(Provider(*chunks[:first], go_on, *chunks[first:])))
    await asyncio.sleep(0.3)
    assert reader.log == chunks[:first]
    go_on.set()
    assert await reading == chunks


async def test_a_first_token_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HOLD_SECONDS", 60)
    never, reader = asyncio.Event(), Reader(Protocol.CHAT)
    reading = asyncio.create_task(reader.read(Provider(*begun(Protocol.CHAT), never)))
    await asyncio.sleep(0.1)
    assert reader.log == begun(Protocol.CHAT)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reader.log[-1] == Ending.CLIENT_LEFT


async def test_opening_frames_are_held_in_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    never, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    reading = asyncio.create_task(reader.read(Provider(*[ping] * 100, never)))
    await asyncio.sleep(0.1)
    assert len(reader.log) == 100
    reading.cancel()
    await asyncio.wait([reading])


async def test_a_client_that_leaves_while_frames_are_held_closes_the_provider() -> None:
    never, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    provider = Provider(*opening(Protocol.MESSAGES), never)
    reading = asyncio.create_task(reader.read(provider))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (reader.log, provider.closed) == ([Ending.CLIENT_LEFT], 1)
    assert len(asyncio.all_tasks()) == 1, "the pull under way is cancelled as well"


@PROTOCOLS
async def test_a_silent_stream_ends_as_a_failed_one(protocol: Protocol) -> None:
    provider = Provider(*begun(protocol), asyncio.Event())
    reader = Reader(protocol, idle_timeout=0.05)
    out = await asyncio.wait_for(reader.read(provider), 5)
    assert "silent for 0.05 seconds" in out[-1]
    assert "504" in out[-1] or "timeout_error" in out[-1]
    assert (reader.log[-2], provider.closed) == (Ending.PROVIDER_FAILED, 1)


async def test_a_stream_that_goes_on_is_not_silent() -> None:
    chunks = whole(Protocol.CHAT)
    steps = [step for chunk in chunks for step in (0.03, chunk)]
    assert await Reader(Protocol.CHAT, idle_timeout=0.5).read(Provider(*steps)) == chunks


async def test_an_idle_timeout_does_not_run_before_the_first_chunk() -> None:
    chunks = whole(Protocol.CHAT)
    assert await Reader(Protocol.CHAT, idle_timeout=0.05).read(Provider(0.2, *chunks)) == chunks


async def test_the_callers_own_cancellation_is_no_idle_timeout() -> None:
    reader = Reader(Protocol.CHAT, idle_timeout=60)
    reading = asyncio.create_task(reader.read(Provider(*begun(Protocol.CHAT), asyncio.Event())))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reader.told == []
