"""A worker that is stopped gives back at once what it still holds; what may run to its end is counted to its end.

The lease is LiteLLM's own hour: whatever is free here was given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.faults.open_streams import held
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]
LONG_LEASE = ("CANCEL_GUARD_LEASE_SECONDS", "3600")
BEATS = ("CANCEL_GUARD_HEARTBEAT_SECONDS", "1")
# For LiteLLM from 1.105 on, which hands it to its server; before, a server waits for ever.
ONE_SECOND = ("GRACEFUL_SHUTDOWN_TIMEOUT", "1")


async def test_asked_to_end_it_serves_its_streams_to_their_end(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    caller = start(env=(LONG_LEASE, BEATS))
    async with held(caller, key, 3) as streams:
        caller.proxy.send(signal.SIGTERM)
        await asyncio.sleep(2)
        assert gauge(redis_server.client, key) == 3
        assert await streams.finish() == [True] * 3
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    await wait_until(lambda: not caller.proxy.alive, "the proxy has ended", within=15)


async def test_ended_by_force_it_gives_back_what_it_holds(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """As by Ctrl-C pressed twice."""
    caller = start(env=(LONG_LEASE,))
    async with held(caller, key, 3):
        caller.proxy.send(signal.SIGTERM)
        await asyncio.sleep(1)
        assert gauge(redis_server.client, key) == 3
        caller.proxy.send(signal.SIGINT)
        await wait_until(lambda: not caller.proxy.alive, "the proxy has ended", within=10)
        assert gauge(redis_server.client, key) == 0


async def test_out_of_time_it_gives_back_what_it_holds(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """The server cancels its requests and ends by the signal that stopped it, with no turn of the loop for them."""
    caller = start(env=(LONG_LEASE, ONE_SECOND))
    async with held(caller, key, 3):
        caller.proxy.send(signal.SIGTERM)
        if not caller.proxy.setup.version.at_least(1, 105):
            await asyncio.sleep(1)
            caller.proxy.send(signal.SIGINT)
        await wait_until(lambda: not caller.proxy.alive, "the proxy has ended", within=20)
        assert gauge(redis_server.client, key) == 0


@pytest.mark.timeout(240)
async def test_a_worker_that_is_replaced_after_so_many_requests_gives_back_what_it_holds(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    caller = start(env=(LONG_LEASE, ONE_SECOND), workers=2, arguments=("--max_requests_before_restart", "12"))
    first = set(caller.proxy.workers)
    async with held(caller, key, 2) as streams:
        await wait_until(lambda: _keeps_asking(caller, first), "a worker was replaced", within=120, every=0.2)
        await streams.finish()
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0


async def _keeps_asking(caller: Caller, first: set[int]) -> bool:
    # A worker on its way out still accepts what it then resets.
    with contextlib.suppress(httpx.TransportError):
        await caller.plain(CHAT, fresh_key(cap=None))
    return bool(set(caller.proxy.workers) - first)


async def test_gunicorns_reload_loses_no_slot(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """Both workers count in Redis: the old one's streams until they end or are cut off, the new one's requests."""
    caller = start(env=(LONG_LEASE, ONE_SECOND), arguments=("--run_gunicorn",))
    old = caller.proxy.workers
    async with held(caller, key, 3) as streams:
        caller.proxy.send(signal.SIGHUP)
        await wait_until(lambda: set(caller.proxy.workers) - set(old) != set(), "a new worker", within=30)
        if caller.proxy.setup.version.at_least(1, 105):
            assert await settled(lambda: gauge(redis_server.client, key), 0, within=20) == 0
            await wait_until(lambda: not set(caller.proxy.workers) & set(old), "the old worker has ended", within=20)
        else:
            assert gauge(redis_server.client, key) == 3
            assert await streams.finish() == [True] * 3
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0
    await wait_until(lambda: set(caller.proxy.workers).isdisjoint(old), "the old worker has ended", within=20)
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
