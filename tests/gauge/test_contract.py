"""What every gauge promises, whatever it is made of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, Lease
from litellm_cancel_guard.lease.records import Aside, Record
from tests.gauge.stores import GAUGE, LAYOUTS

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge


def lease(name: str) -> Lease:
    return Lease(GAUGE, name)


async def test_slots_are_admitted_up_to_the_limit_and_then_refused(gauge: Gauge) -> None:
    answers = [await gauge.acquire(lease(name), 2) for name in "abc"]

    assert answers == [Admission(True, 1), Admission(True, 2), Admission(False, 2)]
    assert await gauge.count(GAUGE) == 2


async def test_a_refused_lease_holds_nothing(gauge: Gauge) -> None:
    await gauge.acquire(lease("a"), 1)
    await gauge.acquire(lease("b"), 1)

    assert await gauge.renew([lease("a"), lease("b")]) == {lease("b")}
    assert await gauge.release(lease("b")) == 1


async def test_a_limit_of_zero_admits_nobody(gauge: Gauge) -> None:
    assert await gauge.acquire(lease("a"), 0) == Admission(False, 0)
    assert await gauge.count(GAUGE) == 0


async def test_acquiring_again_takes_no_second_slot(gauge: Gauge) -> None:
    await gauge.acquire(lease("a"), 1)

    assert await gauge.acquire(lease("a"), 1) == Admission(True, 1)
    assert await gauge.release(lease("a")) == 0


async def test_a_lease_that_is_held_is_admitted_again_even_after_the_limit_was_lowered(gauge: Gauge) -> None:
    for name in "ab":
        await gauge.acquire(lease(name), 2)

    assert await gauge.acquire(lease("a"), 1) == Admission(True, 2)


async def test_a_released_slot_can_be_taken_by_another(gauge: Gauge) -> None:
    await gauge.acquire(lease("a"), 1)
    await gauge.release(lease("a"))

    assert await gauge.acquire(lease("b"), 1) == Admission(True, 1)


async def test_a_second_release_does_not_free_the_slot_of_another(gauge: Gauge) -> None:
    await gauge.acquire(lease("a"), 1)
    await gauge.release(lease("a"))
    await gauge.acquire(lease("b"), 1)

    assert await gauge.release(lease("a")) == 1
    assert await gauge.acquire(lease("c"), 1) == Admission(False, 1)


async def test_releasing_what_was_never_acquired_changes_nothing(gauge: Gauge) -> None:
    assert await gauge.release(lease("a")) == 0
    assert await gauge.acquire(lease("b"), 1) == Admission(True, 1)


async def test_renewing_tells_which_leases_are_not_held_and_does_not_retake_them(gauge: Gauge) -> None:
    for name in "abc":
        await gauge.acquire(lease(name), 3)
    await gauge.release(lease("b"))

    assert await gauge.renew([lease("a"), lease("b"), lease("c"), lease("z")]) == {lease("b"), lease("z")}
    assert await gauge.count(GAUGE) == 2


async def test_renewing_nothing_is_no_error(gauge: Gauge) -> None:
    assert await gauge.renew([]) == set()


async def test_gauges_do_not_know_each_other(gauge: Gauge) -> None:
    other = Lease("api_key:other", "a")
    await gauge.acquire(lease("a"), 1)

    assert await gauge.acquire(other, 1) == Admission(True, 1)
    assert await gauge.release(other) == 0
    assert await gauge.count(GAUGE) == 1


async def test_a_heartbeat_renews_more_leases_than_one_pipeline_takes(
    gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litellm_cancel_guard.gauge.batches._IDS_PER_CALL", 3)
    monkeypatch.setattr("litellm_cancel_guard.gauge.batches._CALLS_PER_PIPELINE", 2)
    held = [Lease(name, str(i)) for name in (GAUGE, "api_key:b", "api_key:c") for i in range(7)]
    for each in held:
        await gauge.acquire(each, 7)
    gone = {held[0], held[8], held[20]}
    for each in gone:
        await gauge.release(each)

    assert await gauge.renew(held) == gone


async def test_many_are_held_at_once_each_under_its_own_limit(gauge: Gauge) -> None:
    await gauge.acquire(lease("a"), 1)
    other = Lease("api_key:other", "a")

    assert await gauge.hold([(lease("a"), 1), (lease("b"), 2), (lease("c"), 2), (other, 1), (lease("d"), 9)]) == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert (await gauge.count(GAUGE), await gauge.count(other.gauge)) == (3, 1)
    assert await gauge.hold([]) == []


async def test_more_are_held_at_once_than_one_pipeline_takes(gauge: Gauge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litellm_cancel_guard.gauge.batches._CALLS_TOGETHER", 3)
    monkeypatch.setattr("litellm_cancel_guard.gauge.batches._CALLS_PER_PIPELINE", 7)
    wanted = [(Lease(name, str(i)), 4) for i in range(7) for name in (GAUGE, "api_key:b", "api_key:c")]

    assert await gauge.hold(wanted) == [True] * 12 + [False] * 9
    assert await gauge.renew([lease for lease, _ in wanted]) == {lease for lease, _ in wanted[12:]}


async def test_of_many_at_once_exactly_the_limit_is_admitted(gauge: Gauge) -> None:
    answers = await asyncio.gather(*(gauge.acquire(lease(str(i)), 3) for i in range(20)))

    assert sum(answer.admitted for answer in answers) == 3
    assert max(answer.in_flight for answer in answers) == 3
    assert await gauge.count(GAUGE) == 3


@pytest.mark.parametrize("name", ["api_key:we}ird {key", "api_key:ключ", "api_key:", "api_key:a b\nc"])
async def test_any_custom_key_can_be_a_gauge(gauge: Gauge, name: str) -> None:
    assert await gauge.acquire(Lease(name, "a"), 1) == Admission(True, 1)
    assert await gauge.acquire(Lease(name, "b"), 1) == Admission(False, 1)
    assert await gauge.renew([Lease(name, "a")]) == set()
    assert await gauge.release(Lease(name, "a")) == 0


async def test_where_no_client_can_be_made_no_node_is_known_and_a_renewal_is_unavailable_as_ever() -> None:
    """Asked for as an outage begins: anything raised there, none would begin, and on_redis_error decide nothing."""

    def no_client() -> Any:
        raise RuntimeError("no Redis is configured")

    record = Record("worker", "host", 1, "0.1.0", "1.109.1", beat_seconds=10, lease_seconds=30)
    aside = Aside(record=lambda: record)
    gauge = RedisGauge(no_client, LAYOUTS["slots"], lease_seconds=30, timeout_seconds=1, aside=aside)
    assert gauge.node(GAUGE) == ""
    with pytest.raises(GaugeUnavailableError, match="no Redis is configured"):
        await gauge.renew([Lease(GAUGE)])
