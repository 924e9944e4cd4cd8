"""The line before a gauge, one step of Redis at a time, wherever it is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease, Turn
from litellm_cancel_guard.lease.slotname import worker_name
from tests.gauge.stores import GAUGE, LIMITER_KEY, SLOTS_KEY, Store
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from tests.harness.redis_server import RedisServer

ONE, TWO = "1" * 16, "2" * 16
PLACES, LINE, RING, WAITS = (f"{{{GAUGE}}}:cancel_guard:{name}" for name in ("places", "line", "ring", "waits"))


def waiter(name: str, of: str = ONE, *, most: int = 9) -> Lease:
    return Lease(GAUGE, f"{worker_name()}.{name}", Turn(most, of))


async def fill(gauge: Gauge, *names: str, limit: int = 1) -> list[Lease]:
    leases = [waiter(name) for name in names]
    for lease in leases:
        assert (await gauge.acquire(lease, limit)).admitted
    return leases


async def park(gauge: Gauge, *leases: Lease, limit: int = 1) -> list[Lease]:
    """Those leases as they are known from then on: with their places."""
    parked = []
    for lease in leases:
        answer = await gauge.acquire(lease, limit)
        assert (answer.admitted, bool(answer.place)) == (False, True)
        parked.append(lease.at(answer.place))
    return parked


async def served(gauge: Gauge, waiting: list[Lease], limit: int = 1) -> list[str]:
    """In which order those who wait are handed the slot: each claims it and gives it back."""
    order: list[str] = []
    left = {lease.id: lease for lease in waiting}
    while left:
        [handed] = set(left) - (set(left) - await gauge.look(GAUGE, list(left)))
        lease = left.pop(handed)
        assert (await gauge.acquire(lease, limit)).admitted
        order.append(lease.id.partition(".")[2])
        await gauge.release(lease)
    return order


async def test_a_released_slot_belongs_to_the_next_in_line_before_anybody_else_asks(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    first, _ = await park(gauge, waiter("b"), waiter("c"))

    assert await gauge.release(holder) == 1
    assert not (await gauge.acquire(waiter("new"), 1)).admitted
    assert not (await gauge.acquire(Lease(GAUGE, "without a line"), 1)).admitted
    assert (await gauge.acquire(first, 1)).admitted


async def test_those_of_one_class_are_served_in_the_order_in_which_they_came(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *map(waiter, "bcdef"))
    await gauge.release(holder)

    assert await served(gauge, waiting) == list("bcdef")


async def test_a_fan_out_does_not_starve_the_one_request_of_another(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *(waiter(f"b{n}", ONE) for n in range(5)), waiter("c", TWO), waiter("d", TWO))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b0", "c", "b1", "d", "b2", "b3", "b4"]


async def test_who_leaves_and_comes_again_is_behind_the_other_classes(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    left, *waiting = await park(gauge, waiter("b", ONE), waiter("c", TWO))
    await gauge.release(left)
    waiting += await park(gauge, waiter("d", ONE))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["c", "d"]


async def test_no_more_wait_than_may(gauge: Gauge) -> None:
    await fill(gauge, "a")
    await park(gauge, waiter("b", most=2), waiter("c", most=2))

    refused = await gauge.acquire(waiter("d", most=2), 1)
    assert (refused, refused.place) == (Admission(False, 1), "")
    assert len(refused.holders) == 1
    assert (await gauge.acquire(waiter("e", most=0), 1)).place == ""


async def test_who_finds_the_line_full_and_room_for_all_in_it_is_admitted_with_them(gauge: Gauge) -> None:
    await fill(gauge, "a")
    [first] = await park(gauge, waiter("b", most=1))

    assert (await gauge.acquire(waiter("c", most=1), 3)).admitted
    assert await gauge.look(GAUGE, [first.id]) == {first.id}
    assert await gauge.count(GAUGE) == 3


async def test_who_finds_the_line_full_and_room_for_those_in_it_waits_in_their_place(gauge: Gauge) -> None:
    await fill(gauge, "a")
    [first] = await park(gauge, waiter("b", most=1))
    [second] = await park(gauge, waiter("c", most=1), limit=2)

    assert await gauge.look(GAUGE, [first.id, second.id]) == {first.id}


async def test_where_nobody_may_wait_nothing_is_kept(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    assert (await gauge.acquire(waiter("b", most=0), 1)).place == ""

    assert await gauge.release(holder) == 0
    assert await gauge.acquire(waiter("c", most=0), 1) == Admission(True, 1)


async def test_who_waits_and_asks_again_keeps_his_place(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b"), waiter("c"))
    assert [lease.turn for lease in await park(gauge, *waiting)] == [lease.turn for lease in waiting]
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c"]


async def test_who_leaves_takes_no_slot_and_whom_one_was_handed_gives_it_to_the_next(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    first, second, third = await park(gauge, *map(waiter, "bcd"))
    await gauge.release(second)
    await gauge.release(holder)
    assert await gauge.look(GAUGE, [third.id]) == set()

    assert await gauge.release(first) == 1
    assert await gauge.look(GAUGE, [third.id]) == {third.id}
    assert await gauge.release(third) == 0


async def test_a_cap_that_was_raised_is_used_and_one_that_was_lowered_is_kept(gauge: Gauge) -> None:
    holders = await fill(gauge, "a", "b", limit=2)
    waiting = await park(gauge, *map(waiter, "cde"), limit=2)
    await park(gauge, waiter("f"), limit=1)
    assert await gauge.release(holders[0]) == 1
    assert await gauge.look(GAUGE, [lease.id for lease in waiting]) == set()

    await park(gauge, waiter("g"), limit=3)
    assert await gauge.look(GAUGE, [lease.id for lease in waiting]) == {lease.id for lease in waiting[:2]}


async def test_a_lease_that_is_held_again_without_the_line_is_no_waiter(store: Store, layout: str) -> None:
    """Written again after an outage, it has a slot: to be handed another would make its lease that of a claim."""
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    [first, second] = await park(gauge, waiter("b"), waiter("c"))
    assert await gauge.hold([(first, 9)]) == [True]
    await gauge.release(holder)
    assert await gauge.look(GAUGE, [second.id]) == set()
    await gauge.release(first)

    assert await gauge.look(GAUGE, [second.id]) == {second.id}


async def test_what_goes_along_with_an_acquire_runs_when_the_slot_is_given_and_not_before(
    store: Store, layout: str
) -> None:
    gauge, key = store.gauge(layout), f"{{{GAUGE}}}:requests"
    follow_up = FollowUp("return redis.call('INCR', KEYS[1])", (key,), ())
    [holder] = await fill(gauge, "a")
    answer = await gauge.acquire(waiter("b"), 1, follow_up)
    assert (bool(answer.place), answer.followed, await store.witness.get(key)) == (True, None, None)
    await gauge.release(holder)

    answer = await gauge.acquire(waiter("b"), 1, follow_up)
    assert (answer.admitted, answer.followed) == (True, 1)
    await store.witness.delete(key)


async def test_every_key_of_the_line_is_gone_when_the_last_has_left(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b"), waiter("c", TWO))
    for lease in (holder, *waiting):
        await gauge.release(lease)

    assert await store.witness.keys("*") == []


async def test_every_worker_is_told_on_its_own_channel_of_the_slots_that_its_waiters_are_handed(
    store: Store, layout: str
) -> None:
    gauge = store.gauge(layout)
    told: asyncio.Queue[str] = asyncio.Queue()
    gauge.hear(told.put_nowait)
    await subscribed(store)
    [holder] = await fill(gauge, "a")
    other = Lease(GAUGE, "0123456789ab.x", Turn(9))
    first, *_ = await park(gauge, other, waiter("b"))
    await gauge.release(holder)
    await gauge.release(first)

    assert await asyncio.wait_for(told.get(), 5) == waiter("b").id
    assert told.empty()
    await gauge._hearing.stop()


async def subscribed(store: Store) -> None:
    """Wait until this worker hears."""
    with anyio.fail_after(10):
        while not (await store.witness.pubsub_numsub(f"cancel_guard:handed:{worker_name()}"))[0][1]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_handed_slot_that_nobody_claims_goes_to_the_next_and_who_comes_late_has_his_place_again(
    store: Store, layout: str
) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    late, second, third = await park(gauge, *map(waiter, "bcd"))
    await gauge.release(holder)
    [(name, left)] = await gauge.slots(GAUGE)
    assert (name, 2 < left <= 3) == (late.id, True)
    await store.age(layout, late.id, 3)

    assert await gauge.look(GAUGE, [second.id, third.id]) == {second.id}
    assert (await gauge.acquire(late, 1)).place == late.turn.place  # type: ignore[union-attr]
    assert (await gauge.acquire(second, 1)).admitted
    await gauge.release(second)
    assert await gauge.look(GAUGE, [late.id, third.id]) == {late.id}


async def test_a_claimed_slot_has_a_whole_lease(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    [first] = await park(gauge, waiter("b"))
    await gauge.release(holder)
    await gauge.acquire(first, 1)

    [(name, left)] = await gauge.slots(GAUGE)
    assert (name, 29 < left <= 30) == (first.id, True)


async def test_waiters_of_a_dead_worker_vanish(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    dead, alive = await park(gauge, waiter("b"), waiter("c", TWO))
    await store.witness.zincrby(WAITS, -5, dead.id)

    assert await gauge.look(GAUGE, [alive.id]) == set()
    assert dead.id not in await store.witness.hkeys(PLACES)
    await gauge.release(holder)
    assert await gauge.look(GAUGE, [alive.id]) == {alive.id}


async def test_none_of_a_dead_workers_hundreds_of_waiters_is_handed_a_slot(store: Store, layout: str) -> None:
    """One script drops some of them; to each of the others the slot would be lost for as long as a claim lasts."""
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    dead = await park(gauge, *(waiter(f"dead{n}", most=999) for n in range(200)))
    [alive] = await park(gauge, waiter("b", TWO, most=999))
    for lease in dead:
        await store.witness.zincrby(WAITS, -5, lease.id)
    await gauge.release(holder)

    assert [name for name, _ in await gauge.slots(GAUGE)] == [alive.id]


async def test_a_look_hands_over_what_came_free_without_the_line(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    plain = Lease(GAUGE, "without a line")
    await gauge.acquire(plain, 1)
    [first] = await park(gauge, waiter("b"))
    await gauge.release(plain)
    assert await gauge.count(GAUGE) == 0

    assert await gauge.look(GAUGE, [first.id]) == {first.id}
    assert await gauge.count(GAUGE) == 1


@pytest.mark.parametrize("lost", [PLACES, LINE, RING, WAITS])
async def test_whichever_key_redis_drops_for_want_of_memory_all_waiters_are_served(
    store: Store, layout: str, lost: str
) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *map(waiter, "bc"), waiter("d", TWO))
    await store.witness.delete(lost)

    astray = await gauge.look(GAUGE, [lease.id for lease in waiting])
    assert astray
    for lease in waiting:
        await gauge.acquire(lease, 1)
    await gauge.release(holder)
    assert sorted(await served(gauge, waiting)) == ["b", "c", "d"]


async def calls(store: Store) -> dict[str, int]:
    """How often each command was asked for since the last time; what a script calls is among them."""
    found = {
        name.removeprefix("cmdstat_"): said["calls"]
        for name, said in (await store.witness.info("commandstats")).items()
    }
    await store.witness.config_resetstat()
    return found


@pytest.mark.parametrize("key", [PLACES, LINE, RING, WAITS])
async def test_where_a_key_of_the_line_is_of_another_type_slots_are_held_without_one_and_the_log_names_it_once(
    real: Store, layout: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = real.gauge(layout)
    [holder] = await fill(gauge, "a")
    await real.witness.set(key, "x", px=60000)

    answer = await gauge.acquire(waiter("b"), 1)
    assert (answer.admitted, answer.place, answer.holders) == (False, "", (holder.id,))
    await calls(real)
    assert not (await gauge.acquire(waiter("c"), 1)).admitted
    assert await gauge.release(holder) == 0
    assert (await gauge.acquire(waiter("d"), 1)).admitted
    asked = await calls(real)
    assert (asked.get("evalsha", 0) + asked.get("eval", 0), asked.get("type", 0)) == (3, 0)
    assert await gauge.release(waiter("d")) == 0
    assert await real.eternal_keys() == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{key.partition('}')[2]} is of type string" in caplog.text
    assert GAUGE not in caplog.text


async def test_who_waits_when_the_line_can_not_be_kept_any_more_is_told_so_and_one_that_holds_gives_back(
    real: Store, layout: str
) -> None:
    gauge = real.gauge(layout)
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b"), waiter("c"))
    await real.witness.delete(RING)
    await real.witness.set(RING, "x", px=60000)

    ids = {lease.id for lease in waiting}
    assert await gauge.look(GAUGE, list(ids)) == ids
    assert not (await gauge.acquire(waiting[0], 1)).place
    assert await gauge.release(holder) == 0
    assert (await gauge.acquire(waiting[1], 1)).admitted
    assert await gauge.release(waiting[1]) == 0


async def test_a_line_that_can_be_kept_again_is_used_some_seconds_later(real: Store, layout: str) -> None:
    gauge, now = real.gauge(layout), [0.0]
    gauge.unlined._clock = lambda: now[0]
    await fill(gauge, "a")
    await real.witness.set(PLACES, "x", px=60000)
    assert not (await gauge.acquire(waiter("b"), 1)).place
    await real.witness.delete(PLACES)
    assert not (await gauge.acquire(waiter("b"), 1)).place
    now[0] += 10
    assert (await gauge.acquire(waiter("b"), 1)).place


async def test_where_it_is_the_slots_that_are_of_another_type_they_are_named(real: Store, layout: str) -> None:
    gauge, key = real.gauge(layout), LIMITER_KEY if layout == "slots" else SLOTS_KEY
    await real.witness.lpush(key, "x")
    for step in (gauge.acquire(waiter("a"), 1), gauge.release(waiter("a"))):
        with pytest.raises(GaugeCorruptError, match="is of type list"):
            await step
    assert gauge.unlined.why(GAUGE) == ""


# What a user may do, and with which keys.
COMMANDLESS = ["+@all", "-hset"], ["*"]
KEYLESS = ["+@all"], ["*:max_parallel_requests", "*:slots", "*:mirror", "*:window", "*:requests", "*:tokens"]


@pytest.mark.parametrize("rights", [COMMANDLESS, KEYLESS])
async def test_a_user_who_may_not_keep_a_line_holds_slots_without_one(
    gauge_redis: RedisServer,
    real: Store,
    layout: str,
    caplog: pytest.LogCaptureFixture,
    rights: tuple[list[str], list[str]],
) -> None:
    """Taken for away, Redis would have each worker count for itself."""
    commands, keys = rights
    gauge_redis.client.acl_setuser("unlined", enabled=True, reset=True, nopass=True, keys=keys, commands=commands)
    client = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, username="unlined", password="any")
    gauge = Store(client, real.witness).gauge(layout)
    holder = Lease(GAUGE, "a", Turn(9))
    assert (await gauge.acquire(holder, 1)).admitted
    answer = await gauge.acquire(waiter("b"), 1)
    assert (answer.admitted, answer.place) == (False, "")
    assert await gauge.release(holder) == 0
    assert "no request can wait in line" in caplog.text
    await client.aclose()


async def test_a_redis_that_takes_no_writes_for_a_while_is_away_and_not_without_a_line(
    real: Store, layout: str
) -> None:
    gauge = real.gauge(layout)
    await real.witness.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(GaugeUnavailableError):
            await gauge.acquire(waiter("a"), 1)
    finally:
        await real.witness.config_set("min-replicas-to-write", 0)
    assert gauge.unlined.why(GAUGE) == ""
