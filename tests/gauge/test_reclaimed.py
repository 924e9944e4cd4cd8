"""Slots that another worker left behind are told to whoever drops them, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.lease.records import Aside
from tests.gauge.stores import GAUGE, LAYOUTS, LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gauge.stores import Store

MINE = Lease(GAUGE, "mine")
DROP: dict[str, Callable[[RedisGauge], Any]] = {
    "refused": lambda gauge: gauge.acquire(Lease(GAUGE, "another"), 0),
    "renew": lambda gauge: gauge.renew([MINE]),
    "the last room": lambda gauge: gauge.acquire(Lease(GAUGE, "another"), 2),
}
PASS_BY: dict[str, Callable[[RedisGauge], Any]] = {
    "acquire": lambda gauge: gauge.acquire(Lease(GAUGE, "another"), 10),
    "release": lambda gauge: gauge.release(MINE),
}


def telling(store: Store, layout: str, told: list[int]) -> RedisGauge:
    aside = Aside(reclaimed=told.append)
    return RedisGauge(lambda: store.client, LAYOUTS[layout], lease_seconds=30, timeout_seconds=5, aside=aside)


async def with_two_dead(store: Store, layout: str, told: list[int]) -> RedisGauge:
    gauge = telling(store, layout, told)
    for name in ("mine", "dead", "dead too"):
        await gauge.acquire(Lease(GAUGE, name), 10)
    for name in ("dead", "dead too"):
        await store.age(layout, name, LEASE_SECONDS + 1)
    return gauge


@pytest.mark.parametrize("call", DROP)
async def test_each_call_tells_of_the_slots_that_it_has_dropped(store: Store, layout: str, call: str) -> None:
    told: list[int] = []
    gauge = await with_two_dead(store, layout, told)
    await DROP[call](gauge)
    await DROP[call](gauge)
    assert told == [2]


@pytest.mark.parametrize("call", PASS_BY)
async def test_what_a_call_has_passed_by_is_told_by_whoever_drops_it(store: Store, layout: str, call: str) -> None:
    told: list[int] = []
    gauge = await with_two_dead(store, layout, told)
    await PASS_BY[call](gauge)
    assert not {"dead", "dead too"} & {name for name, _ in await gauge.slots(GAUGE)}
    for drop in DROP.values():
        await drop(gauge)
    assert told == [2]


async def test_own_slots_that_lapsed_are_nobody_elses(store: Store, layout: str) -> None:
    told: list[int] = []
    gauge = telling(store, layout, told)
    await gauge.acquire(MINE, 10)
    await store.age(layout, "mine", LEASE_SECONDS + 1)
    assert await gauge.renew([MINE]) == {MINE}
    assert told == []
