"""LiteLLM 1.80 to 1.93: what the guard notes beside the number spares it questions, and never makes it wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LAYOUTS, LEASE_SECONDS, LIMITER_KEY, MIRROR_KEY, SLOTS_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.gauge.redis import RedisGauge
    from tests.gauge.stores import Store

A, B, C = (Lease(GAUGE, name) for name in "abc")
WINDOW = 60

STEPS: dict[str, Callable[[RedisGauge], Awaitable[object]]] = {
    "acquire": lambda gauge: gauge.acquire(C, 9),
    "refused": lambda gauge: gauge.acquire(C, 0),
    "release": lambda gauge: gauge.release(A),
    "renew": lambda gauge: gauge.renew([A, B]),
    "count": lambda gauge: gauge.count(GAUGE),
}


@pytest.fixture(params=list(STEPS))
def step(request: pytest.FixtureRequest) -> Callable[[RedisGauge], Awaitable[object]]:
    return STEPS[request.param]


async def commands(store: Store, step: Awaitable[object]) -> str:
    """What *step* has a real Redis do in its script, in the order of the alphabet."""
    await store.witness.config_resetstat()
    await step
    done: dict[str, Any] = await store.witness.info("commandstats")
    counts = Counter({name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in done.items()})
    return " ".join(sorted(name for name in counts.elements() if name not in {"evalsha", "config|resetstat"}))


async def test_a_lost_book_is_written_again_from_the_slots_that_live(
    store: Store, step: Callable[[RedisGauge], Awaitable[object]]
) -> None:
    """As `reconcile` deletes it, with the number."""
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await store.witness.delete(MIRROR_KEY, LIMITER_KEY)

    await step(gauge)
    await store.assert_book_is_true()
    assert await store.witness.get(LIMITER_KEY) == str(await store.witness.zcard(SLOTS_KEY))
    assert await store.witness.pttl(SLOTS_KEY) > LEASE_SECONDS * 1000 - 5000


async def test_an_evicted_book_frees_no_slot_and_its_slots_count_twice_for_one_window_at_most(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.delete(MIRROR_KEY)

    assert await gauge.acquire(B, 5) == Admission(True, 3)
    await store.assert_book_is_true()
    await store.age_book(rose=WINDOW)
    assert await gauge.count(GAUGE) == 2


@pytest.mark.parametrize("again", ["acquire", "renew"])
async def test_slots_whose_book_was_lost_near_the_end_of_their_key_get_a_whole_lease(store: Store, again: str) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.delete(MIRROR_KEY, LIMITER_KEY)
    await store.witness.pexpire(SLOTS_KEY, 1000)

    await STEPS[again](gauge)
    assert await store.witness.pttl(SLOTS_KEY) > LEASE_SECONDS * 1000
    await store.assert_book_is_true()


@pytest.mark.parametrize("again", ["acquire", "renew"])
async def test_slots_that_would_live_for_ever_without_their_book_get_a_lifetime(store: Store, again: str) -> None:
    """A copy from another Redis may have lost the expiries, and the book."""
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.delete(MIRROR_KEY, LIMITER_KEY)
    await store.witness.persist(SLOTS_KEY)

    await STEPS[again](gauge)
    assert await store.eternal_keys() == []
    await store.assert_book_is_true()


@pytest.mark.parametrize("others", [0, 2])
async def test_after_the_slots_were_deleted_a_new_key_of_slots_gets_a_lifetime_whatever_the_book_says(
    store: Store, others: int
) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.incrby(LIMITER_KEY, others)
    await gauge.renew([A])
    await store.witness.delete(SLOTS_KEY)

    assert await gauge.acquire(B, 5) == Admission(True, others + 1)
    assert await store.eternal_keys() == []
    assert await store.witness.pttl(SLOTS_KEY) > LEASE_SECONDS * 1000
    await store.assert_book_is_true()


async def test_after_the_last_slot_ended_beside_unguarded_ones_the_next_gets_a_lifetime(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.incr(LIMITER_KEY)
    assert await gauge.release(A) == 1
    assert (await store.book())["slots_expire"] == 0

    await gauge.acquire(B, 5)
    assert await store.eternal_keys() == []
    await store.assert_book_is_true()


@pytest.mark.parametrize("again", ["acquire", "renew"])
async def test_of_two_workers_with_different_leases_the_longer_decides_how_long_the_keys_live(
    store: Store, again: str
) -> None:
    short, long = store.gauge("counted", lease_seconds=5), store.gauge("counted", lease_seconds=100)
    await short.acquire(A, 5)
    assert 5000 < await store.witness.pttl(SLOTS_KEY) <= 6000
    await long.acquire(B, 5)
    await store.assert_book_is_true()
    assert await store.witness.pttl(SLOTS_KEY) > 100_000

    await STEPS[again](short)
    await store.assert_book_is_true()
    assert await store.witness.pttl(SLOTS_KEY) > 100_000


async def test_many_slots_in_one_moment_prolong_their_key_once(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 99)
    noted = (await store.book())["slots_expire"]
    for number in range(5):
        await gauge.acquire(Lease(GAUGE, str(number)), 99)
    await gauge.release(A)
    assert (await store.book())["slots_expire"] == noted

    await store.age_book(expires=600, slots_expire=600)
    for key in (SLOTS_KEY, LIMITER_KEY):
        await store.witness.pexpireat(key, int(noted) - 600)
    await gauge.acquire(B, 99)
    assert (await store.book())["slots_expire"] >= noted
    await store.assert_book_is_true()


CHANGES: dict[str, tuple[tuple[object, ...], str | None]] = {
    "an unguarded slot": (("INCR", LIMITER_KEY), "3"),
    "a late decrement": (("INCRBYFLOAT", LIMITER_KEY, -1), "2"),
    "another text of the same number": (("SET", LIMITER_KEY, "2.0", "KEEPTTL"), "2"),
    "the number deleted": (("DEL", LIMITER_KEY), "2"),
    "the number's expiry renewed": (("EXPIRE", LIMITER_KEY, 60), "2"),
    "the number's expiry shortened": (("PEXPIRE", LIMITER_KEY, 1000), "2"),
    "the number without an expiry": (("PERSIST", LIMITER_KEY), "2"),
    "the book deleted": (("DEL", MIRROR_KEY), "4"),
    "a slot removed by hand": (("ZREM", SLOTS_KEY, "a"), "1"),
    "all slots deleted": (("DEL", SLOTS_KEY), None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_refusal_puts_right_whatever_has_changed(store: Store, change: str) -> None:
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    command, number = CHANGES[change]
    await store.witness.execute_command(*command)

    assert not (await gauge.acquire(C, 0)).admitted
    assert await store.witness.get(LIMITER_KEY) == number
    assert await store.eternal_keys() == []
    await store.assert_book_is_true()


@pytest.mark.parametrize("others", [0, 1])
async def test_a_refusal_that_finds_everything_as_it_was_writes_nothing(real: Store, others: int) -> None:
    gauge = real.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await real.witness.incrby(LIMITER_KEY, others)
    assert await gauge.acquire(C, 2) == Admission(False, 2 + others)
    # Redis' clock may go on within a script, and by so much expiries differ from what was noted.
    await real.witness.pexpireat(LIMITER_KEY, int((await real.book())["expires"]) + 20)

    looked = "mget mget pttl time time" if others else "mget pttl time"
    assert await commands(real, gauge.acquire(C, 2)) == f"{looked} zcard zrange zremrangebyscore"


async def test_a_refusal_at_rest_writes_nothing(real: Store) -> None:
    gauge = real.gauge("counted")
    await gauge.acquire(A, 0)

    assert await commands(real, gauge.acquire(A, 0)) == "exists mget time zrange zremrangebyscore"


async def test_an_id_that_is_given_twice_is_renewed_and_not_lost(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    call = LAYOUTS["counted"].renew(GAUGE, ["a", "a", "b", "a"], LEASE_SECONDS)

    assert await store.witness.eval(call.script.text, len(call.keys), *call.keys, *call.args) == [0, 3]


async def test_what_one_request_costs_on_an_idle_key(real: Store) -> None:
    gauge = real.gauge("counted")
    for _ in range(2):  # Redis has the scripts from here on
        acquire = await commands(real, gauge.acquire(A, 9))
        release = await commands(real, gauge.release(A))

    assert acquire == "exists mget pexpireat set set time zadd"
    assert release == "del mget zrem"


async def test_what_one_request_costs_beside_eight_others(real: Store) -> None:
    gauge, longer = real.gauge("counted"), real.gauge("counted", lease_seconds=100)
    for number in range(8):
        await longer.acquire(Lease(GAUGE, str(number)), 9)
    for _ in range(2):
        acquire = await commands(real, gauge.acquire(A, 9))
        release = await commands(real, gauge.release(A))

    assert acquire == "mget set set time zadd zcard"
    assert release == "mget set set zrem"
