"""A worker that is killed gives its slots back by its silence, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from tests.faults.open_streams import LEASE_SECONDS, SHORT_LEASE, held
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.delay_proxy import DelayProxy
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.redis_server import RedisServer


async def test_its_slots_are_free_one_lease_later_for_anybody(
    start: Callable[..., Caller],
    caller: Caller,
    key: Key,
    redis_server: RedisServer,
) -> None:
    """Nobody touches the key meanwhile, and then another proxy admits exactly the cap."""
    dying = start()
    async with held(dying, key, 4):
        assert gauge(redis_server.client, key) == 4
        dying.proxy.kill()
        killed = time.monotonic()
        left = await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS + 1.5)
        took = time.monotonic() - killed
    assert (left, took < LEASE_SECONDS + 1.2) == (0, True), took
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
    assert lasting(redis_server.client, key) == []


async def test_of_two_proxies_only_the_killed_ones_slots_come_back(
    start: Callable[..., Caller],
    caller: Caller,
    key: Key,
    redis_server: RedisServer,
) -> None:
    """The other one's stream runs for three leases and is counted to its end."""
    dying = start()
    async with held(caller, key, 1) as long, held(dying, key, 3):
        assert (await caller.plain(ROUTES["chat"], key)).status == 429
        dying.proxy.kill()
        assert await settled(lambda: gauge(redis_server.client, key), 1, within=LEASE_SECONDS * 2) == 1
        for _ in range(20):
            await asyncio.sleep(LEASE_SECONDS / 10)
            assert gauge(redis_server.client, key) == 1
        assert await long.finish() == [True]
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def _keep_asking(caller: Caller, key: Key, script: Script, over: asyncio.Event) -> list[int]:
    """One request after the other, until *over* or the proxy is gone; returns their statuses."""
    statuses: list[int] = []
    with contextlib.suppress(httpx.TransportError):
        while not over.is_set():
            statuses.append((await caller.streamed(ROUTES["chat"], key, script)).status)
    return statuses


async def test_of_sixteen_clients_of_two_proxies_the_provider_has_the_cap_at_most_though_one_is_killed(
    start: Callable[..., Caller],
    caller: Caller,
    key: Key,
    redis_server: RedisServer,
) -> None:
    """And of as many clients as the cap none is refused before; one lease later the other proxy has all of it."""
    dying, over = start(), asyncio.Event()
    script = replace(caller.script(), chunks=4, gap=0.1)
    below = fresh_key(cap=4)
    answers = await asyncio.gather(*(one.streamed(ROUTES["chat"], below, script) for one in (dying, caller) * 2))
    assert [answer.status for answer in answers] == [200] * 4

    script = replace(caller.script(), chunks=4, gap=0.1)
    asking = [asyncio.create_task(_keep_asking(one, key, script, over)) for one in (dying, caller) for _ in range(8)]
    await asyncio.sleep(LEASE_SECONDS)
    dying.proxy.kill()
    await asyncio.sleep(LEASE_SECONDS + 1)
    over.set()
    told = {status for statuses in await asyncio.gather(*asking) for status in statuses}

    assert ((await caller.provider.counts(script.run)).peak, told) == (4, {200, 429})
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)


async def test_of_two_workers_only_the_killed_ones_slots_come_back(
    start: Callable[..., Caller],
    key: Key,
    redis_server: RedisServer,
) -> None:
    caller = start(workers=2)
    proxy = caller.proxy
    async with held(caller, key, 4) as streams:
        workers = proxy.workers
        assert len(workers) == 2
        proxy.send(signal.SIGKILL, workers[0])
        await wait_until(lambda: workers[0] not in proxy.workers, "the worker is gone")
        await asyncio.sleep(0.2)
        survive = await streams.open_at_provider()
        assert await settled(lambda: gauge(redis_server.client, key), survive, within=LEASE_SECONDS * 2) == survive
        await asyncio.sleep(LEASE_SECONDS)
        assert gauge(redis_server.client, key) == survive
        assert (await streams.finish()).count(True) == survive
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_killed_before_it_knows_that_it_was_admitted_it_leaves_nothing_for_longer(
    start: Callable[..., Caller],
    caller: Caller,
    key: Key,
    redis_server: RedisServer,
    wire: DelayProxy,
) -> None:
    """Redis has taken the slot, and its answer never arrives."""
    dying = start(redis_port=wire.port, env=SHORT_LEASE[:1])
    await dying.plain(ROUTES["chat"], key)
    wire.swallow = True
    asking = asyncio.create_task(dying.plain(ROUTES["chat"], key, replace(dying.script(), stall="headers")))
    await wait_until(lambda: gauge(redis_server.client, key) == 1, "the slot is taken", every=0.001)
    dying.proxy.kill()
    killed = time.monotonic()
    await asyncio.wait((asking,))
    assert asking.exception() is not None

    assert await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS + 1.5) == 0
    assert time.monotonic() - killed < LEASE_SECONDS + 1.2
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
