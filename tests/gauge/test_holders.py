"""A refusal says which slots are in its way, and costs Redis what it cost without."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LAYOUTS, LEASE_SECONDS, TIMEOUT_SECONDS, Store
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litellm_cancel_guard.gauge import Gauge
    from tests.harness.redis_server import RedisServer


def leases(count: int) -> list[Lease]:
    return [Lease(GAUGE, str(number)) for number in range(count)]


async def filled(gauge: Gauge, count: int) -> set[str]:
    for lease in leases(count):
        assert (await gauge.acquire(lease, count)).admitted
    return {lease.id for lease in leases(count)}


NEXT = Lease(GAUGE, "next")


async def test_a_refusal_names_the_slots_in_its_way(gauge: Gauge) -> None:
    names = await filled(gauge, 3)

    assert set((await gauge.acquire(NEXT, 3)).holders) == names
    assert (await gauge.acquire(leases(1)[0], 3)).holders == ()


async def test_of_more_than_64_it_may_name_none_and_is_as_exact(gauge: Gauge) -> None:
    names = await filled(gauge, 65)

    assert set((await gauge.acquire(NEXT, 64)).holders) in (set(), names)
    assert await gauge.acquire(NEXT, 65) == Admission(False, 65)
    assert await gauge.acquire(leases(8)[7], 65) == Admission(True, 65)


async def test_it_has_redis_run_no_command_more_than_a_refusal_that_names_none(real: Store, layout: str) -> None:
    gauge, counts = real.gauge(layout), []
    await filled(gauge, 65)
    for held in (65, 64):
        await gauge.acquire(NEXT, held)
        await real.witness.config_resetstat()
        await gauge.acquire(NEXT, held)
        done: dict[str, Any] = await real.witness.info("commandstats")
        counts.append(Counter({name: stat["calls"] for name, stat in done.items()}))
        await gauge.release(leases(1)[0])

    without, naming = counts
    assert without["cmdstat_zscore"] == naming["cmdstat_zrange"] == 1
    assert without.total() == naming.total()


@pytest.fixture
async def without_zrange(real: Store, gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """A user with a list of commands, made for a guard that named no slots."""
    await real.witness.execute_command("ACL", "SETUSER", "listed", "on", ">secret", "~*", "+@all", "-zrange")
    client = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, username="listed", password="secret")
    yield Store(client, real.witness)
    await client.aclose()
    await real.witness.execute_command("ACL", "DELUSER", "listed")


async def test_a_user_who_may_not_list_slots_is_refused_and_admitted_as_ever(
    without_zrange: Store, layout: str
) -> None:
    gauge = RedisGauge(
        lambda: without_zrange.client,
        LAYOUTS[layout],
        lease_seconds=LEASE_SECONDS,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    await filled(gauge, 2)

    refused = await gauge.acquire(NEXT, 2)
    assert (refused, refused.holders) == (Admission(False, 2), ())
    assert await gauge.acquire(leases(1)[0], 2) == Admission(True, 2)
