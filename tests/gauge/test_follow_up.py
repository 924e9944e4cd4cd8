"""A script of LiteLLM's that runs in the same call as an acquire: only with a slot, and its errors are its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease
from tests.gauge.stores import GAUGE, REQUESTS_KEY, WINDOW_KEY

if TYPE_CHECKING:
    from tests.gauge.stores import Store

# It names its results as the acquire names its own things, and returns in the middle.
COUNTS = FollowUp(
    """
    local answer, slots, held = {}, ARGV[1], redis.call('INCRBY', KEYS[2], ARGV[2])
    redis.call('SET', KEYS[1], slots)
    for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, 60) end
    if held > 0 then return { slots, held } end
    return answer""",
    (WINDOW_KEY, REQUESTS_KEY),
    (1700000000, 1),
)


def lease(name: str) -> Lease:
    return Lease(GAUGE, name)


async def test_it_answers_with_the_slot_and_does_not_run_without(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    given = await gauge.acquire(lease("a"), 1, COUNTS)
    refused = await gauge.acquire(lease("b"), 1, COUNTS)

    assert (given.admitted, given.in_flight, [int(one) for one in given.followed]) == (True, 1, [1700000000, 1])
    assert refused == Admission(False, 1)
    assert await store.witness.mget(WINDOW_KEY, REQUESTS_KEY) == ["1700000000", "1"]
    assert await store.in_flight(layout) == 1


async def test_its_error_takes_no_slot_away(store: Store, layout: str) -> None:
    """Its keys are LiteLLM's: one that holds another type is no reason to count the slots without Redis."""
    await store.witness.lpush(REQUESTS_KEY, "no number")
    await store.witness.expire(REQUESTS_KEY, 60)
    given = await store.gauge(layout).acquire(lease("a"), 1, COUNTS)

    assert given.admitted
    assert isinstance(given.followed, ResponseError)
    assert "WRONGTYPE" in str(given.followed)
    assert await store.in_flight(layout) == 1


async def test_a_fault_in_its_text_takes_no_slot_away(store: Store, layout: str) -> None:
    given = await store.gauge(layout).acquire(lease("a"), 1, replace(COUNTS, text="return nothing.at_all"))

    assert (given.admitted, isinstance(given.followed, ResponseError)) == (True, True)


async def test_after_a_lost_answer_it_runs_again_and_takes_no_second_slot(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    for _ in range(2):
        await gauge.acquire(lease("a"), 1, COUNTS)

    assert await store.witness.get(REQUESTS_KEY) == "2"
    assert await store.in_flight(layout) == 1
