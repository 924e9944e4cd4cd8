"""LiteLLM 1.80 to 1.93: its number says what is in flight, whatever workers without the guard do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LIMITER_KEY, MIRROR_KEY, REQUESTS_KEY, SLOTS_KEY, TOKENS_KEY, WINDOW_KEY

if TYPE_CHECKING:
    from tests.gauge.stores import Store

A, B, C = (Lease(GAUGE, name) for name in "abc")
WINDOW = 60


async def unguarded_begins(store: Store) -> None:
    """What BATCH_RATE_LIMITER_SCRIPT does within a window."""
    await store.witness.incr(LIMITER_KEY)
    if await store.witness.ttl(LIMITER_KEY) == -1:
        await store.witness.expire(LIMITER_KEY, WINDOW)


async def unguarded_ends(store: Store) -> None:
    """What TOKEN_INCREMENT_SCRIPT does."""
    await store.witness.incrbyfloat(LIMITER_KEY, -1)
    if await store.witness.ttl(LIMITER_KEY) == -1:
        await store.witness.expire(LIMITER_KEY, WINDOW)


async def window_passes(store: Store) -> None:
    """As if what unguarded workers hold had risen one window ago."""
    await store.age_book(rose=WINDOW)


async def test_the_number_follows_the_slots_and_is_gone_at_rest(store: Store) -> None:
    gauge, numbers = store.gauge("counted"), []
    for step in (gauge.acquire(A, 5), gauge.acquire(B, 5), gauge.renew([A, B]), gauge.release(A), gauge.release(B)):
        await step
        numbers.append(await store.witness.get(LIMITER_KEY))

    assert numbers == ["1", "2", "2", "1", None]
    assert await store.witness.keys("*") == []


async def test_slots_of_unguarded_workers_count(store: Store) -> None:
    gauge = store.gauge("counted")
    await unguarded_begins(store)
    await unguarded_begins(store)

    assert await gauge.acquire(A, 3) == Admission(True, 3)
    assert await gauge.acquire(B, 3) == Admission(False, 3)
    await unguarded_ends(store)
    assert await gauge.acquire(B, 3) == Admission(True, 3)
    assert await gauge.release(A) == 2
    assert await gauge.release(B) == 1
    await unguarded_ends(store)
    assert await gauge.count(GAUGE) == 0
    assert await store.witness.keys("*") == []


async def test_an_unguarded_slot_outlives_the_guards(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await unguarded_begins(store)
    await gauge.release(A)

    assert await store.witness.get(LIMITER_KEY) == "1"
    assert 0 < await store.witness.ttl(LIMITER_KEY) <= WINDOW


@pytest.mark.parametrize(("text", "in_flight"), [("2", 2), ("2.0", 2), ("1.9", 1), ("-1", 0), ("-0.5", 0), ("0", 0)])
async def test_any_number_that_the_limiter_may_have_left_is_read_as_it_reads_it(
    store: Store, text: str, in_flight: int
) -> None:
    await store.witness.set(LIMITER_KEY, text, ex=WINDOW)

    assert await store.gauge("counted").acquire(A, 5) == Admission(True, in_flight + 1)
    assert await store.witness.get(LIMITER_KEY) == str(in_flight + 1)


async def test_late_decrements_do_not_free_the_guards_slots(store: Store) -> None:
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 2)
    for _ in range(5):
        await unguarded_ends(store)

    assert await gauge.acquire(C, 2) == Admission(False, 2)
    assert await store.witness.get(LIMITER_KEY) == "2"


async def test_late_decrements_at_rest_leave_nothing_behind(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 1)
    await gauge.release(A)
    await unguarded_ends(store)
    assert await store.witness.get(LIMITER_KEY) == "-1"

    assert await gauge.release(A) == 0
    assert await store.witness.keys("*") == []


async def test_a_new_window_of_an_unguarded_worker_wipes_no_slot_of_the_guards(store: Store) -> None:
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await store.begin_window(LIMITER_KEY)
    assert await store.witness.get(LIMITER_KEY) == "1"
    await unguarded_begins(store)

    assert await gauge.acquire(C, 5) == Admission(True, 5)
    assert await store.witness.get(LIMITER_KEY) == "5"
    assert await gauge.count(GAUGE) == 5
    await unguarded_ends(store)
    await unguarded_ends(store)
    assert await gauge.count(GAUGE) == 3


async def test_a_new_window_for_other_counters_does_not_make_slots_foreign(store: Store) -> None:
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await store.witness.set(WINDOW_KEY, 1700000000, ex=WINDOW)

    assert await gauge.count(GAUGE) == 2


@pytest.mark.parametrize("first", [REQUESTS_KEY, TOKENS_KEY])
async def test_a_failure_in_the_moment_another_counter_begins_a_window_makes_no_slot_foreign(
    store: Store, first: str
) -> None:
    """The window is used up by requests or tokens; the failure gives the number the same expiry by chance."""
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await store.begin_window(first)
    await unguarded_begins(store)
    await unguarded_ends(store)
    await store.expire_together(WINDOW_KEY, first, LIMITER_KEY)

    assert await gauge.count(GAUGE) == 2


async def test_unguarded_slots_that_did_not_rise_for_a_window_are_forgotten(store: Store) -> None:
    gauge = store.gauge("counted")
    await unguarded_begins(store)
    await gauge.acquire(A, 2)
    assert await gauge.acquire(B, 2) == Admission(False, 2)
    await window_passes(store)

    assert await gauge.acquire(B, 2) == Admission(True, 2)
    assert await store.witness.get(LIMITER_KEY) == "2"
    await unguarded_ends(store)
    assert await gauge.count(GAUGE) == 2


async def test_unguarded_slots_that_rise_are_remembered_for_another_window(store: Store) -> None:
    gauge = store.gauge("counted")
    await unguarded_begins(store)
    await gauge.count(GAUGE)
    await window_passes(store)
    await unguarded_begins(store)

    assert await gauge.count(GAUGE) == 2


async def test_unguarded_slots_alone_expire_a_window_after_they_rose(store: Store) -> None:
    gauge = store.gauge("counted", lease_seconds=10 * WINDOW)
    await gauge.acquire(A, 5)
    await unguarded_begins(store)
    await gauge.count(GAUGE)
    assert await store.witness.ttl(LIMITER_KEY) > WINDOW
    await gauge.release(A)

    assert 0 < await store.witness.ttl(LIMITER_KEY) <= WINDOW


async def test_a_number_that_was_deleted_is_written_again(store: Store) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.delete(LIMITER_KEY)
    await gauge.renew([A])

    assert await store.witness.get(LIMITER_KEY) == "1"


async def test_slots_of_a_dead_worker_are_not_taken_for_unguarded_ones(store: Store) -> None:
    """The failure pipeline of LiteLLM gives the number another 60 s; the slots' own keys end before it."""
    gauge = store.gauge("counted")
    await gauge.acquire(A, 1)
    await store.witness.expire(LIMITER_KEY, WINDOW)
    await store.witness.delete(SLOTS_KEY)

    assert await store.witness.get(LIMITER_KEY) == "1"
    assert await store.witness.ttl(MIRROR_KEY) >= WINDOW
    assert await gauge.acquire(B, 1) == Admission(True, 1)


async def test_an_expiry_that_the_limiter_renews_is_no_new_window(store: Store) -> None:
    """Its failure pipeline gives the number another 60 s, and takes one off."""
    gauge = store.gauge("counted")
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await store.witness.set(WINDOW_KEY, 1700000000, ex=WINDOW // 2)
    await unguarded_ends(store)
    await store.witness.expire(LIMITER_KEY, WINDOW)

    assert await gauge.count(GAUGE) == 2


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize("lease_seconds", [WINDOW / 2, WINDOW * 10])
async def test_what_begins_with_a_new_window_is_remembered_for_all_of_it(
    store: Store, before: int, lease_seconds: float
) -> None:
    """Even where as many were noted before, and the slots' key decides when the number expires."""
    gauge = store.gauge("counted", lease_seconds=lease_seconds)
    await gauge.acquire(A, 5)
    for _ in range(before):
        await unguarded_begins(store)
    await gauge.count(GAUGE)
    await store.age_book(rose=WINDOW - 10)
    await store.begin_window(LIMITER_KEY)
    await gauge.count(GAUGE)
    await store.age_book(rose=WINDOW - 20)

    assert await gauge.count(GAUGE) == 2


async def test_the_number_lives_as_long_as_what_others_wrote_to_it(store: Store) -> None:
    await unguarded_begins(store)
    await store.gauge("counted", lease_seconds=5).acquire(A, 5)

    assert await store.witness.ttl(LIMITER_KEY) > WINDOW - 5


async def test_looking_at_the_number_of_others_does_not_prolong_it(store: Store) -> None:
    await unguarded_begins(store)
    await store.witness.expire(LIMITER_KEY, 10)

    assert await store.gauge("counted").count(GAUGE) == 1
    assert await store.witness.ttl(LIMITER_KEY) <= 10


async def test_a_number_that_would_live_for_ever_gets_a_lifetime_again(store: Store) -> None:
    """LiteLLM before 1.80.8 gives none to a number that it creates within a window."""
    gauge = store.gauge("counted")
    await gauge.acquire(A, 5)
    await store.witness.persist(LIMITER_KEY)
    await store.witness.incr(LIMITER_KEY)
    assert await store.eternal_keys() == [LIMITER_KEY]

    assert await gauge.count(GAUGE) == 2
    assert await gauge.release(A) == 1
    assert 0 < await store.witness.ttl(LIMITER_KEY) <= WINDOW
