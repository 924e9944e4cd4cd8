"""What a worker writes with each beat, and reads in that round trip: who holds what, what it counted, its orders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge.keys import Keys, raw
from litellm_cancel_guard.gauge.notice import Notice, order
from litellm_cancel_guard.gauge.survey import Place, Survey
from litellm_cancel_guard.lease.counters import HOUR_SECONDS, KEPT_HOURS
from litellm_cancel_guard.lease.holders import Holder, Holding, Refusal
from litellm_cancel_guard.lease.records import Record
from tests.gauge.stores import GAUGE, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gauge.stores import Store

WORKER = "0123456789ab"
RECORD = Record(WORKER, "host", 7, "0.1.0", "1.109.1", 10.0, 30.0, obeys=True)
HOLDING = Holding({"a slot": Holder("gpt", "call-1")}, 3, (Refusal("call-2", time.time(), "88dc", 4, 4, ("a slot",)),))


def named(prefix: str) -> Callable[[str], str]:
    return (lambda key: f"{prefix}{key}") if prefix else raw


@pytest.fixture(params=["", "prod:", "{prod}:"], ids=["no namespace", "a namespace", "a namespace with a hash tag"])
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def notice_in(store: Store, prefix: str = "") -> Notice:
    return Notice(lambda: store.client, named(prefix), lambda: TIMEOUT_SECONDS)


async def test_orders_holders_and_counts_go_along_with_the_record(store: Store, prefix: str) -> None:
    notice, survey = notice_in(store, prefix), Survey(store.client, namespace=prefix.rstrip(":"))
    await order(store.client, Keys(named(prefix)).orders(WORKER), "a slot", "the test", stands=31.0)
    for _ in range(2):
        read = await notice.write(RECORD, HOLDING, {"refused": 2, "admitted": 1})
        assert (dict(read.ordered), read.counted) == ({"a slot": "the test"}, True), "an order stands for a while"
    assert [seen.record for seen in await survey.workers()] == [RECORD], "and what lies beside it is no worker's record"
    assert await survey.holding(WORKER, Place(GAUGE, prefix, counting=False)) == HOLDING
    told = await survey.refusal("call-2")
    assert told is not None
    assert (told[0].call_id, told[1].holders, told[2].record) == ("call-2", HOLDING.holders, RECORD)
    assert await survey.refusal("call-1") is None
    [hour] = await survey.hours(int(time.time()) - HOUR_SECONDS)
    assert (dict(hour.counted), hour.began % HOUR_SECONDS) == ({"refused": 4, "admitted": 2}, 0)
    assert await survey.hours(int(time.time()) + HOUR_SECONDS) == []


async def test_an_order_ends_by_itself_and_counts_are_kept_for_eight_days(store: Store) -> None:
    await order(store.client, Keys().orders(WORKER), "a slot", "the test", stands=31.0)
    assert 29_000 < await store.witness.pttl(Keys().orders(WORKER)) <= 31_000
    await notice_in(store).write(RECORD, None, {"refused": 1})
    hour = Keys().counted(str(int(time.time()) // HOUR_SECONDS))
    assert KEPT_HOURS * HOUR_SECONDS - 5 < await store.witness.ttl(hour) <= KEPT_HOURS * HOUR_SECONDS


async def test_what_lies_there_of_another_type_costs_itself_alone(store: Store) -> None:
    hour = Keys().counted(str(int(time.time()) // HOUR_SECONDS))
    for key in (hour, Keys().orders(WORKER), Keys().holding(WORKER)):
        await store.witness.rpush(key, "a list")
        await store.witness.expire(key, 60)
    read = await notice_in(store).write(RECORD, None, {"refused": 1})
    assert (dict(read.ordered), read.counted) == ({}, False)
    survey = Survey(store.client, namespace="")
    assert [seen.record for seen in await survey.workers()] == [RECORD]
    assert await survey.holding(WORKER, Place(GAUGE, "", counting=False)) == Holding()


async def test_a_redis_that_is_away_is_no_fault_and_nothing_counts_as_written() -> None:
    def away() -> None:
        raise ConnectionError

    notice = Notice(away, raw, lambda: TIMEOUT_SECONDS)
    read = await notice.write(RECORD, HOLDING, {"refused": 1})
    assert (dict(read.ordered), read.counted) == ({}, False)
    await notice.count({"refused": 1})


async def test_all_of_a_worker_lies_on_the_node_of_its_record() -> None:
    from redis.crc import key_slot

    for keys in (Keys(), Keys(named("prod:"))):
        names = (keys.worker(WORKER), keys.orders(WORKER), keys.holding(WORKER))
        assert len({key_slot(name.encode()) for name in names}) == 1
