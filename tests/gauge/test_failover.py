"""A master of a Redis Cluster dies, and its replica follows it: the guard finds it by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.gauge.stores import LAYOUTS
from tests.harness.process import LOOPBACK
from tests.harness.redis_cluster import RedisCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    started = RedisCluster(tmp_path)
    yield started
    started.close()


@pytest.fixture
async def client(cluster: RedisCluster) -> AsyncIterator[Any]:
    """It tries once, as one may configure it: what it looks for, it looks for at its next call."""
    client = aioredis.RedisCluster(host=LOOPBACK, port=cluster.ports[0], retry=Retry(NoBackoff(), 0))
    yield client
    await client.aclose()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "known", [pytest.param(True, id="known before"), pytest.param(False, id="unknown before", marks=pytest.mark.more)]
)
async def test_the_beats_of_an_outage_find_the_master_that_follows(
    cluster: RedisCluster, client: Any, known: bool
) -> None:
    """Nobody else asks: the client looks for it only when a call of its own fails, and the guard asks nodes."""
    gauge = RedisGauge(lambda: client, LAYOUTS["slots"], lease_seconds=30, timeout_seconds=0.5)
    ledger = Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=0.5))
    port = cluster.ports[0]
    keys = [
        f"api_key:{name}" for name in range(99) if cluster.client.get_node_from_key(f"{{api_key:{name}}}").port == port
    ]
    if not known:
        await client.initialize()
    replica = await asyncio.to_thread(cluster.add_replica, port)
    await client.initialize()
    for key in keys:
        await ledger.admit(Request("acompletion"), key, 9)
    await asyncio.to_thread(cluster.fail_over, port, replica)
    await ledger.renew()
    assert ledger.outage.on
    for key in keys:
        await ledger.admit(Request("acompletion"), key, 9)

    with anyio.fail_after(10):
        while ledger.outage.on:
            await ledger.renew()
    assert {gauge.node(key) for key in keys} == {f"{LOOPBACK}:{replica}"}
    assert [await gauge.count(key) for key in keys] == [2] * len(keys)
