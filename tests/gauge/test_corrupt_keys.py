"""A key that holds what it should not: named, with what to do, and never touched."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeCorruptError
from litellm_cancel_guard.lease.keyname import shown
from litellm_cancel_guard.lease.lease import Lease
from tests.gauge.stores import GAUGE, LIMITER_KEY, MIRROR_KEY, SLOTS_KEY

if TYPE_CHECKING:
    from tests.gauge.stores import Store

A, B = Lease(GAUGE, "a"), Lease("api_key:b", "b")

WRONG: list[tuple[str, str, str, str]] = [
    ("slots", LIMITER_KEY, "string", "older than 1.94"),
    ("slots", LIMITER_KEY, "list", "Something else wrote it"),
    ("counted", LIMITER_KEY, "zset", "1.94 or newer"),
    ("counted", LIMITER_KEY, "list", "Something else wrote it"),
    ("counted", SLOTS_KEY, "string", "Something else wrote it"),
    ("counted", MIRROR_KEY, "zset", "Something else wrote it"),
    ("counted", MIRROR_KEY, "hash", "Something else wrote it"),
]


async def plant(store: Store, key: str, kind: str) -> None:
    write = {
        "string": ("SET", key, "3"),
        "hash": ("HSET", key, "held", "3"),
        "list": ("RPUSH", key, "3"),
        "zset": ("ZADD", key, "3", "x"),
    }[kind]
    await store.witness.execute_command(*write)
    await store.witness.expire(key, 100)


@pytest.mark.parametrize(("layout", "key", "kind", "advice"), WRONG)
async def test_a_key_of_another_type_is_named_with_what_to_do_and_left_alone(
    store: Store, layout: str, key: str, kind: str, advice: str
) -> None:
    await plant(store, key, kind)
    gauge = store.gauge(layout)
    for step in (gauge.acquire(A, 1), gauge.release(A), gauge.count(GAUGE)):
        with pytest.raises(GaugeCorruptError) as caught:
            await step
        message = str(caught.value)
        assert message.startswith(f"Redis key {key} is of type {kind}, not ")
        assert advice in message

    assert await store.witness.keys("*") == [key]
    assert await store.witness.type(key) == kind


@pytest.mark.parametrize("text", ["many", "nan", "inf", ""])
async def test_a_number_that_is_none_is_named_and_left_alone(store: Store, text: str) -> None:
    await store.witness.set(LIMITER_KEY, text, ex=100)
    with pytest.raises(GaugeCorruptError, match=r"^Redis key .*max_parallel_requests holds no number. Something else"):
        await store.gauge("counted").acquire(A, 1)

    assert await store.witness.get(LIMITER_KEY) == text
    assert await store.witness.keys("*") == [LIMITER_KEY]


@pytest.mark.parametrize("text", ["", "3", "1 0 0.000000 2", "1 0 nan 2 3", "-1 0 0.000000 2 3", "1 0 0.000000 2 3 4"])
async def test_a_book_that_is_none_is_named_before_anything_is_written(store: Store, text: str) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 2)
    await store.witness.set(MIRROR_KEY, text, ex=100)
    await store.witness.incr(LIMITER_KEY)
    for step in (gauge.acquire(Lease(GAUGE, "b"), 9), gauge.release(A), gauge.count(GAUGE)):
        with pytest.raises(GaugeCorruptError, match=r"^Redis key .*:mirror holds no book of the guard. Something else"):
            await step

    assert await store.witness.get(MIRROR_KEY) == text
    assert await store.witness.get(LIMITER_KEY) == "2"
    assert await store.witness.zrange(SLOTS_KEY, 0, -1) == ["a"]


@pytest.mark.parametrize("key", [LIMITER_KEY, MIRROR_KEY])
async def test_a_key_of_another_type_beside_a_right_one_is_not_written_over(store: Store, key: str) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 2)
    await store.witness.delete(key)
    await plant(store, key, "list")

    with pytest.raises(GaugeCorruptError, match=r"^Redis key .* is of type list, not string"):
        await gauge.release(A)
    assert await store.witness.type(key) == "list"
    assert await store.witness.zrange(SLOTS_KEY, 0, -1) == ["a"]


async def test_one_corrupt_gauge_does_not_keep_the_others_from_being_renewed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = store.gauge()
    for lease in (A, B):
        await gauge.acquire(lease, 1)
    await store.witness.delete(LIMITER_KEY)
    await plant(store, LIMITER_KEY, "string")

    assert await gauge.renew([A, B]) == {A}
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert f"Redis key {LIMITER_KEY.replace(GAUGE, shown(GAUGE) + '…')} is of type string" in record.message


async def test_one_corrupt_gauge_does_not_keep_the_others_from_being_held_at_once(store: Store, layout: str) -> None:
    await plant(store, LIMITER_KEY, "list")
    gauge = store.gauge(layout)

    assert await gauge.hold([(A, 1), (B, 1), (Lease(GAUGE, "c"), 9)]) == [None, True, None]
    assert (await store.witness.type(LIMITER_KEY), await store.in_flight(layout, B.gauge)) == ("list", 1)
