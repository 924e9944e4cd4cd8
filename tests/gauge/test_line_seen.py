"""What an operator sees of the line before a key, wherever it is kept; looking changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeCorruptError, line
from litellm_cancel_guard.gauge.local import LocalGauge
from litellm_cancel_guard.gauge.local_survey import LocalSurvey
from litellm_cancel_guard.gauge.survey import Count, Survey
from litellm_cancel_guard.lease.holders import Holder, Holding
from litellm_cancel_guard.lease.lease import Lease, Turn, class_of
from litellm_cancel_guard.lease.records import Record
from litellm_cancel_guard.operator.overview import all_counts, described, detailed, with_holders
from tests.gauge.stores import GAUGE, Store

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge

NOBODY, AGENT = "0" * 16, "deadbeef00000001"
WAITS, RING = (f"{{{GAUGE}}}:cancel_guard:{name}" for name in ("waits", "ring"))


def waiter(of: str = NOBODY) -> Lease:
    return Lease.new(GAUGE, "acompletion", Turn(9, of))


async def parked(gauge: Gauge, *leases: Lease) -> list[Lease]:
    """One slot is held, by the first of those that are returned; *leases* wait for it."""
    holder = waiter()
    assert (await gauge.acquire(holder, 1)).admitted
    return [holder, *[lease.at((await gauge.acquire(lease, 1)).place) for lease in leases]]


async def seen(store: Store) -> Count:
    survey = Survey(store.client, namespace="")
    [place] = await survey.places()
    return await survey.count(place)


def said(count: Count) -> tuple[int, str, str | None]:
    assert count.line.classes <= count.line.waiting
    return count.line.waiting, count.line.first, described(count)["turn"]


async def test_how_many_wait_who_is_next_and_whose_turn_it_is_are_shown(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    holder, first, *rest = await parked(gauge, waiter(AGENT), waiter(AGENT), waiter())
    before = {key: await store.witness.dump(key) for key in await store.witness.keys("*")}
    count = await seen(store)

    assert said(count) == (3, first.id, AGENT[:8])
    assert described(count)["agents_waiting"] == 2
    assert [slot.id for slot in count.slots] == [holder.id]
    assert 0 <= described(count)["first_waited_seconds"] < 5
    assert {key: await store.witness.dump(key) for key in await store.witness.keys("*")} == before
    await gauge.release(holder)
    assert said(await seen(store)) == (2, rest[1].id, None)


async def test_the_turn_that_a_class_of_several_has_before_the_others_is_shown(store: Store, layout: str) -> None:
    gauge, main = store.gauge(layout), class_of(int(AGENT, 16), 3)
    holder, one, first, second, third = await parked(gauge, waiter(), *(waiter(main) for _ in range(3)))
    shown = []
    for lease in (holder, first, second, one, third):
        shown.append(said(await seen(store)))
        await gauge.release(lease)

    agent = AGENT[:8]
    assert shown == [
        (4, first.id, agent),
        (3, second.id, agent),
        (2, one.id, None),
        (1, third.id, agent),
        (0, "", None),
    ]


async def test_those_of_a_dead_worker_are_not_among_those_who_wait(store: Store, layout: str) -> None:
    _, dead, _, alive = await parked(store.gauge(layout), waiter(AGENT), waiter(AGENT), waiter())
    for name in await store.witness.zrange(WAITS, 0, -1):
        if name != alive.id:
            await store.witness.zincrby(WAITS, -10, name)
    assert said(await seen(store)) == (1, alive.id, None)

    await store.witness.zincrby(WAITS, -10, alive.id)
    assert said(await seen(store)) == (0, "", None)
    assert dead.id in await store.witness.zrange(WAITS, 0, -1)


async def test_where_nobody_waits_nobody_asks(store: Store, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a command less, and the right to it, for all keys that have no line."""

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the line was asked for")

    monkeypatch.setattr(line, "listing", asked)
    await parked(store.gauge(layout))
    count = await seen(store)
    assert (said(count), len(count.slots)) == ((0, "", None), 1)
    assert described(count)["first_waited_seconds"] is None


async def test_a_line_that_ends_before_it_is_asked_for_is_none(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    _, first = await parked(gauge, waiter())
    survey = Survey(store.client, namespace="")
    [place] = await survey.places()
    await gauge.release(first)
    assert (place.lined, said(await survey.count(place))) == (True, (0, "", None))


async def test_a_key_of_the_line_that_is_of_another_type_is_named(real: Store, layout: str) -> None:
    await parked(real.gauge(layout), waiter())
    await real.witness.delete(RING)
    await real.witness.set(RING, "x", px=60_000)
    with pytest.raises(GaugeCorruptError, match="ring is of type string"):
        await seen(real)


async def test_a_key_of_the_line_alone_is_no_key_with_slots(store: Store) -> None:
    await store.witness.zadd(WAITS, {"a": 1})
    await store.witness.pexpire(WAITS, 60_000)
    assert await Survey(store.client, namespace="").places() == []


async def test_without_redis_a_worker_shows_its_own_line() -> None:
    gauge = LocalGauge()
    holder, first, second = await parked(gauge, waiter(AGENT), waiter())
    survey = LocalSurvey(gauge, lambda: Record("w", "h", 1, "0", "1", 10.0, 30.0), lambda: None)
    [place] = await survey.places()
    assert said(await survey.count(place)) == (2, first.id, AGENT[:8])
    assert described(await survey.count(place))["agents_waiting"] == 2
    await gauge.release(holder)
    assert said(await survey.count(place)) == (1, second.id, None)
    await gauge.release(second)
    assert said(await survey.count(place)) == (0, "", None)


@pytest.mark.parametrize(("waited", "age"), [(0.0, 60.0), (50.0, 10.0), (90.0, 0.0)])
async def test_a_slot_that_was_waited_for_is_shown_as_old_as_it_is_held(waited: float, age: float) -> None:
    gauge, since = LocalGauge(), int((time.time() - 60) * 1000)
    slot = f"{'ab' * 6}.{since:x}.1.acompletion"
    await gauge.acquire(Lease(GAUGE, slot), 1)
    said = Holding({slot: Holder("gpt", waited=waited)})
    survey = LocalSurvey(gauge, lambda: Record("ab" * 6, "h", 1, "0", "1", 10.0, 30.0), lambda: said)
    [count] = await with_holders(survey, await all_counts(survey))
    assert count.slots[0].age == pytest.approx(age, abs=5)
    assert detailed(count)["oldest_seconds"] == pytest.approx(age, abs=5)
