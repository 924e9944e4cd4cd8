"""A worker dies: its slots come back one lease after their last renewal, and not before."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LEASE_SECONDS, LIMITER_KEY, MIRROR_KEY, SLOTS_KEY

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.redis import RedisGauge
    from tests.gauge.stores import Store

A, B = Lease(GAUGE, "a"), Lease(GAUGE, "b")
HOUR = 3600


async def left(gauge: RedisGauge) -> dict[str, float]:
    """The seconds that each slot has left, in fives."""
    return {name: 5 * round(seconds / 5) for name, seconds in await gauge.slots(GAUGE)}


async def test_a_lapsed_slot_makes_room(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    await gauge.acquire(A, 1)
    await store.age(layout, "a", LEASE_SECONDS)

    assert await gauge.acquire(B, 1) == Admission(True, 1)
    assert await store.in_flight(layout) == 1


async def test_a_slot_is_held_until_its_lease_is_over(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    await gauge.acquire(A, 1)
    await store.age(layout, "a", LEASE_SECONDS - 5)

    assert await gauge.acquire(B, 1) == Admission(False, 1)


async def test_renewing_counts_the_lease_anew(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    await gauge.acquire(A, 1)
    await store.age(layout, "a", LEASE_SECONDS - 5)
    [(_, before)] = await gauge.slots(GAUGE)
    assert await gauge.renew([A]) == set()
    [(name, after)] = await gauge.slots(GAUGE)

    assert name == "a"
    assert before <= 5
    assert LEASE_SECONDS - 5 < after <= LEASE_SECONDS


async def test_a_lapsed_slot_is_lost_and_not_retaken_by_its_renewal(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    for lease in (A, B):
        await gauge.acquire(lease, 2)
    await store.age(layout, "a", LEASE_SECONDS)

    assert await left(gauge) == {"b": LEASE_SECONDS}
    assert await gauge.renew([A, B]) == {A}
    assert await store.in_flight(layout) == 1


async def test_counting_drops_what_has_lapsed(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    for lease in (A, B):
        await gauge.acquire(lease, 2)
    await store.age(layout, "a", LEASE_SECONDS)

    assert await gauge.count(GAUGE) == 1
    assert await store.in_flight(layout) == 1


async def test_what_lapsed_is_in_nobodys_way_after_a_release_and_leaves_with_its_key(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    for lease in (A, B):
        await gauge.acquire(lease, 2)
    await store.age(layout, "a", LEASE_SECONDS)
    await gauge.release(B)

    assert await gauge.slots(GAUGE) == []
    assert await store.eternal_keys() == []
    assert await gauge.acquire(B, 1) == Admission(True, 1)
    assert await gauge.release(B) == 0
    assert await store.witness.keys("*") == []


async def test_an_abandoned_gauge_leaves_redis_by_itself(store: Store, layout: str) -> None:
    gauge = store.gauge(layout, lease_seconds=0.05)
    await gauge.acquire(A, 1)
    assert 50 < await store.witness.pttl(LIMITER_KEY) <= 1050

    deadline = time.monotonic() + 5
    while await gauge.acquire(B, 1) == Admission(False, 1):
        assert time.monotonic() < deadline, "the slot never lapsed"
        await asyncio.sleep(0.01)
    assert await gauge.release(A) == 1


async def test_nothing_expires_before_the_lease_does(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    await gauge.acquire(A, 2)
    for key in await store.witness.keys("*"):
        await store.witness.pexpire(key, 1000)
    if layout == "counted":
        await store.age_book(expires=LEASE_SECONDS * 1000, slots_expire=LEASE_SECONDS * 1000)
    for step in (gauge.renew([A]), gauge.acquire(B, 2), gauge.release(B)):
        await step
        ttls = [await store.witness.pttl(key) for key in (LIMITER_KEY, SLOTS_KEY, MIRROR_KEY)]
        assert all(ttl == -2 or ttl >= LEASE_SECONDS * 1000 for ttl in ttls), ttls


async def test_limiter_slots_count_and_are_dropped_an_hour_after_they_began(store: Store) -> None:
    gauge = store.gauge("slots")
    now, _ = await store.witness.time()
    await store.witness.zadd(LIMITER_KEY, {"theirs": now - HOUR + 60, "leaked": now - HOUR})
    await store.witness.expire(LIMITER_KEY, HOUR)

    assert await gauge.acquire(A, 2) == Admission(True, 2)
    assert await gauge.acquire(B, 2) == Admission(False, 2)
    assert {name for name, _ in await gauge.slots(GAUGE)} == {"a", "theirs"}


async def test_limiter_slots_keep_the_lifetime_that_the_limiter_gave_their_key(store: Store) -> None:
    gauge = store.gauge("slots")
    now, _ = await store.witness.time()
    await store.witness.zadd(LIMITER_KEY, {"theirs": now})
    await store.witness.expire(LIMITER_KEY, HOUR)
    await gauge.acquire(A, 2)
    await gauge.renew([A])
    await gauge.release(A)

    assert await store.witness.ttl(LIMITER_KEY) > HOUR - 60


@pytest.mark.parametrize("step", ["acquire", "renew"])
async def test_a_shared_key_without_a_lifetime_gets_one_that_the_limiters_slots_survive(
    store: Store, step: str
) -> None:
    gauge = store.gauge("slots")
    await gauge.acquire(A, 2)
    now, _ = await store.witness.time()
    await store.witness.zadd(LIMITER_KEY, {"theirs": now})
    await store.witness.persist(LIMITER_KEY)
    await (gauge.acquire(A, 2) if step == "acquire" else gauge.renew([A]))

    assert HOUR - 60 < await store.witness.ttl(LIMITER_KEY) <= HOUR


async def test_a_slot_that_the_limiter_took_is_held_by_lease_once_it_is_renewed(store: Store) -> None:
    gauge = store.gauge("slots")
    now, _ = await store.witness.time()
    await store.witness.zadd(LIMITER_KEY, {"a": now})
    await store.witness.expire(LIMITER_KEY, HOUR)

    assert await left(gauge) == {"a": HOUR}
    assert await gauge.renew([A]) == set()
    assert await left(gauge) == {"a": LEASE_SECONDS}
    assert await store.witness.ttl(LIMITER_KEY) > HOUR - 60
