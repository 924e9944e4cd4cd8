"""An event loop that stands still: a thread renews meanwhile, and what lapsed without it is not taken back by force."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import LEASE_SECONDS, SHORT_LEASE, held
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]
NO_THREAD = ("CANCEL_GUARD_MAX_STALL_RENEWAL_SECONDS", "0")
STOOD_STILL = "the event loop stood still for longer than a lease (3 s) and 3 slots of running requests lapsed"


async def test_it_takes_back_what_is_free_and_the_cap_holds(
    start: Callable[..., Caller], caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    blocked = start(env=(*SHORT_LEASE, NO_THREAD))
    counts = []

    async def watch() -> None:
        while True:
            counts.append(gauge(redis_server.client, key))
            await asyncio.sleep(0.02)

    async with held(blocked, key, 3) as first:
        blocking = asyncio.create_task(blocked.plain(CHAT, fresh_key(block=int(LEASE_SECONDS + 4) * 1000)))
        assert await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS + 2) == 0
        watching = asyncio.create_task(watch())
        async with held(caller, key, 2) as second:
            assert (await blocking).status == 200
            await wait_until(lambda: STOOD_STILL in blocked.proxy.text(), "it has found out")
            assert "2 were still free and are held again" in blocked.proxy.text()
            assert (await caller.plain(CHAT, key)).status == 429
            assert await first.finish() == [True] * 3
            assert await settled(lambda: gauge(redis_server.client, key), 2) == 2
            assert await second.finish() == [True] * 2
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    watching.cancel()
    assert max(counts) == 4
    assert await blocked.admitted_at_once(key, cap=4) == (4, 2)
    assert lasting(redis_server.client, key) == []


async def test_for_less_than_a_lease_it_loses_nothing(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    blocked = start()
    async with held(blocked, key, 3) as streams:
        assert (await blocked.plain(CHAT, fresh_key(block=1000))).status == 200
        assert gauge(redis_server.client, key) == 3
        await asyncio.sleep(LEASE_SECONDS)
        assert gauge(redis_server.client, key) == 3
        assert await streams.finish() == [True] * 3
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert "stood still" not in blocked.proxy.text()
    assert "cannot count" not in blocked.proxy.text()


@pytest.mark.thorough
async def test_for_longer_than_several_leases_nothing_lapses_and_killed_meanwhile_it_gives_all_back(
    start: Callable[..., Caller], caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    blocked, still = start(), int(4 * LEASE_SECONDS)

    async def kept_for(seconds: float) -> None:
        """Redis is asked from outside, and another worker, at the cap, for a slot."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert gauge(redis_server.client, key) == 4
            assert (await caller.plain(CHAT, key)).status == 429
            await asyncio.sleep(0.05)

    async with held(blocked, key, 4) as streams:
        blocking = asyncio.create_task(blocked.plain(CHAT, fresh_key(block=still * 1000)))
        await kept_for(still)
        assert (await blocking).status == 200
        assert gauge(redis_server.client, key) == 4
        assert await streams.finish() == [True] * 4
        assert gauge(redis_server.client, key) == 0
    await wait_until(lambda: "a thread renewed the slots held here meanwhile" in blocked.proxy.text(), "it is said")
    assert "lapsed" not in blocked.proxy.text()
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)

    async with held(blocked, key, 4):
        blocking = asyncio.create_task(blocked.plain(CHAT, fresh_key(block=still * 1000)))
        await kept_for(2 * LEASE_SECONDS)
        blocked.proxy.kill()
        killed = time.monotonic()
        assert await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS + 1.5) == 0
        assert time.monotonic() - killed < LEASE_SECONDS + 1.2
        await asyncio.wait((blocking,))
        assert blocking.exception() is not None
    assert lasting(redis_server.client, key) == []
