"""A plain client that speaks to a cluster, of one shard or behind a single address: Redis keeps to hash slots."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.lease.records import Aside, Record
from tests.gauge.stores import LAYOUTS, Store
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LEASES = [Lease(f"api_key:{number}", str(number)) for number in range(3)]


@pytest.fixture
async def one_shard(cluster_port: int) -> AsyncIterator[Store]:
    client = aioredis.Redis(host=LOOPBACK, port=cluster_port)
    witness = aioredis.Redis(host=LOOPBACK, port=cluster_port, decode_responses=True)
    await witness.flushall()
    yield Store(client, witness)
    await client.aclose()
    await witness.aclose()


async def test_the_slots_of_many_keys_are_renewed_in_the_beat_in_which_redis_refuses_them_together(
    one_shard: Store, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused, no slot would be renewed: each would lapse under its request, and the cap hold in each worker alone."""
    caplog.set_level(logging.INFO, "LiteLLM Proxy")
    gauge = one_shard.gauge(layout)
    for lease in LEASES[:2]:
        await gauge.acquire(lease, 1)

    assert await gauge.renew(LEASES) == {LEASES[2]}
    assert await gauge.renew(LEASES) == {LEASES[2]}
    assert ["several hash slots" in record.message for record in caplog.records] == [True]


async def test_the_slots_of_many_keys_are_held_at_once_all_the_same(one_shard: Store, layout: str) -> None:
    gauge = one_shard.gauge(layout)
    assert await gauge.hold([(lease, 1) for lease in LEASES]) == [True] * 3
    assert [await one_shard.in_flight(layout, lease.gauge) for lease in LEASES] == [1] * 3


async def test_from_then_on_they_are_not_sent_together(one_shard: Store, layout: str) -> None:
    gauge = one_shard.gauge(layout)
    await gauge.renew(LEASES)
    await one_shard.witness.config_resetstat()
    await gauge.renew(LEASES)

    sent = (await one_shard.witness.info("commandstats"))["cmdstat_evalsha"]
    assert (sent["calls"], sent["rejected_calls"]) == (3, 0)


async def test_what_the_worker_says_of_itself_is_written_along(one_shard: Store) -> None:
    record = Record("worker", "host", 1, "0.1.0", "1.109.1", beat_seconds=10, lease_seconds=30)
    gauge = RedisGauge(
        lambda: one_shard.client,
        LAYOUTS["slots"],
        lease_seconds=30,
        timeout_seconds=5,
        aside=Aside(record=lambda: record),
    )
    for _ in range(2):
        await gauge.renew(LEASES)
        assert await one_shard.witness.getdel("cancel_guard:worker:worker") == record.text()
