"""While LiteLLM is upgraded from 1.93 to 1.94, workers of both share a Redis: guarded ones keep one count of a key.

LiteLLM's own key holds a number before and a sorted set after; what it holds while there are slots, it keeps holding.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease
from tests.gauge.stores import GAUGE, LAYOUTS, LEASE_SECONDS, LIMITER_KEY, TIMEOUT_SECONDS, Store

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW = LAYOUTS["counted"], LAYOUTS["slots"]
TYPES = {"old": "string", "new": "zset"}
CAP = 4

pytestmark = pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])


@pytest.fixture
def worker(store: Store) -> Callable[[str], RedisGauge]:
    layouts = {"old": replace(OLD, beyond=NEW), "new": replace(NEW, beyond=OLD)}
    return lambda side: RedisGauge(
        lambda: store.client, layouts[side], lease_seconds=LEASE_SECONDS, timeout_seconds=TIMEOUT_SECONDS
    )


async def test_both_sides_keep_one_count_in_the_layout_of_the_first(
    store: Store, worker: Callable[[str], RedisGauge], first: str, second: str
) -> None:
    one, other = worker(first), worker(second)
    leases = {gauge: [Lease.new(GAUGE, "acompletion") for _ in range(CAP)] for gauge in (one, other)}
    taken = [
        (gauge, lease) for pair in zip(*leases.values(), strict=True) for gauge, lease in zip(leases, pair, strict=True)
    ]
    admitted = [(await gauge.acquire(lease, CAP)).admitted for gauge, lease in taken]

    assert admitted == [True] * CAP + [False] * CAP
    assert [await gauge.count(GAUGE) for gauge in leases] == [CAP, CAP]
    assert await store.witness.type(LIMITER_KEY) == TYPES[first]
    assert {name for name, _ in await one.slots(GAUGE)} | {name for name, _ in await other.slots(GAUGE)} == {
        lease.id for _, lease in taken[:CAP]
    }
    assert [await gauge.release(lease) for gauge, lease in taken[:CAP]] == [3, 2, 1, 0]
    assert await store.witness.keys("*") == []


async def test_the_next_one_after_the_last_slot_decides_anew(
    store: Store, worker: Callable[[str], RedisGauge], first: str, second: str
) -> None:
    one, other, lease = worker(first), worker(second), Lease(GAUGE, "a")
    await one.acquire(lease, CAP)
    await other.release(lease)
    await other.acquire(Lease(GAUGE, "b"), CAP)
    assert await store.witness.type(LIMITER_KEY) == TYPES[second]


async def test_slots_of_the_other_sides_layout_are_renewed_and_retaken(
    store: Store, worker: Callable[[str], RedisGauge], first: str, second: str
) -> None:
    one, other = worker(first), worker(second)
    mine, theirs, free = Lease(GAUGE, "mine"), Lease(GAUGE, "theirs"), Lease("api_key:free", "free")
    await one.acquire(theirs, CAP)
    await other.acquire(mine, CAP)
    await other.acquire(free, CAP)
    await store.age("counted" if first == "old" else "slots", "mine", 20)

    assert await other.renew([mine, free, Lease(GAUGE, "lost")]) == {Lease(GAUGE, "lost")}
    assert dict(await one.slots(GAUGE))["mine"] > LEASE_SECONDS - 10
    assert await other.hold([(mine, CAP), (free, CAP), (Lease(GAUGE, "third"), CAP), (Lease(GAUGE, "over"), 3)]) == [
        True,
        True,
        True,
        False,
    ]


async def test_one_line_says_that_both_share_it(
    worker: Callable[[str], RedisGauge], first: str, second: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = worker(first), worker(second)
    await one.acquire(Lease(GAUGE, "a"), CAP)
    for name in "bcd":
        await other.acquire(Lease(GAUGE, name), CAP)
        await other.renew([Lease(GAUGE, name)])
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "LiteLLM 1.94 or newer and of an older one share this Redis" in record.message


async def test_what_goes_along_with_an_acquire_runs_in_the_other_layout_too(
    worker: Callable[[str], RedisGauge], first: str, second: str
) -> None:
    await worker(first).acquire(Lease(GAUGE, "a"), CAP)
    followed = FollowUp("redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) return 7", (f"{{{GAUGE}}}:requests",), ("x",))
    admission = await worker(second).acquire(Lease(GAUGE, "b"), CAP, followed)
    assert (admission.admitted, admission.in_flight, admission.followed) == (True, 2, 7)


class Turning:
    """A client before each of whose first calls the key has gone over to the layout that is not asked for."""

    def __init__(self, client: Any, witness: Any, turns: int) -> None:
        self._client, self._witness, self.turns = client, witness, turns

    async def execute_command(self, name: str, script: str, count: int, *given: Any) -> Any:
        if name == "EVALSHA":
            await self._witness.delete(LIMITER_KEY)
            if self.turns:
                self.turns -= 1
                of_slots = count == len(NEW.keys_of(GAUGE))
                theirs = self._witness.set(LIMITER_KEY, 1) if of_slots else self._witness.zadd(LIMITER_KEY, {"it": 1})
                await theirs
        return await self._client.execute_command(name, script, count, *given)


async def test_a_key_that_goes_over_time_and_again_while_it_is_asked_for_is_still_counted(
    store: Store, first: str, second: str
) -> None:
    client = Turning(store.client, store.witness, turns=7)
    layout = replace({"old": OLD, "new": NEW}[first], beyond={"old": OLD, "new": NEW}[second])
    gauge = RedisGauge(lambda: client, layout, lease_seconds=LEASE_SECONDS, timeout_seconds=TIMEOUT_SECONDS)
    lease = Lease(GAUGE, "a")
    assert await gauge.acquire(lease, CAP) == Admission(True, 1)
    assert client.turns == 0


async def test_never_more_than_the_cap_while_both_come_and_go(
    store: Store, worker: Callable[[str], RedisGauge], first: str, second: str
) -> None:
    held: set[str] = set()
    most = 0

    async def client(gauge: RedisGauge, name: str) -> int:
        nonlocal most
        admitted = 0
        for number in range(20):
            lease = Lease(GAUGE, f"{name}-{number}")
            if (await gauge.acquire(lease, CAP)).admitted:
                admitted += 1
                held.add(lease.id)
                most = max(most, len(held))
                await asyncio.sleep(0)
                held.discard(lease.id)
                await gauge.release(lease)
            else:
                await asyncio.sleep(0.001)
        return admitted

    sides = [worker(first), worker(second)]
    got = await asyncio.gather(*(client(sides[n % 2], str(n)) for n in range(16)))
    assert most <= CAP
    assert sum(got) > 0
    assert await store.witness.keys("*") == []
