"""Of many at once a few ask Redis at a time; who waits for a turn looks again when it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Admission, Ending
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.core.scripted import KEY, ScriptedGauge, opened, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 100


def burst(ledger: Ledger) -> tuple[list[Request], list[asyncio.Task[Admission]]]:
    requests = [opened(ledger) for _ in range(MANY)]
    return requests, [asyncio.create_task(ledger.admit(request, KEY, MANY)) for request in requests]


async def all_have_begun() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def admitted(coming: Sequence[asyncio.Task[Admission]]) -> int:
    return sum(admission.admitted for admission in await asyncio.gather(*coming))


async def test_of_many_that_come_at_once_a_few_ask_redis_at_a_time(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """All connections taken, those at the end of the queue would take Redis for away."""
    gauge.frozen = asyncio.Event()
    _, coming = burst(ledger)
    await all_have_begun()
    asked = gauge.acquires
    gauge.frozen.set()

    assert 10 < asked <= 25, "of 50 connections, of which as many are for releases"
    assert await admitted(coming) == MANY
    assert (len(gauge.slots), ledger.outage.on) == (MANY, False)


async def test_who_waits_for_a_turn_when_redis_goes_away_does_not_ask_it(gauge: ScriptedGauge) -> None:
    ledger = Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=0.1))
    gauge.frozen = asyncio.Event()
    _, coming = burst(ledger)
    assert await admitted(coming) == MANY
    assert gauge.acquires <= 25

    gauge.frozen.set()
    await ledger.renew()
    assert (len(gauge.slots), ledger.outage.on) == (MANY, False)


async def test_who_waits_for_a_turn_is_not_taken_for_lost_by_a_beat(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """Written again whatever the cap, it would be admitted although it is about to be refused."""
    gauge.hold_acquire = asyncio.Event()
    coming = [asyncio.create_task(ledger.admit(opened(ledger), KEY, 0)) for _ in range(MANY)]
    await all_have_begun()
    await ledger.renew()
    assert (gauge.slots, gauge.holds) == (set(), 0)
    gauge.hold_acquire.set()
    assert await admitted(coming) == 0


async def test_who_ends_or_leaves_while_it_waits_for_a_turn_takes_no_slot(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """It ends no more: a slot that it took then would stay until it lapses."""
    gauge.frozen = asyncio.Event()
    requests, coming = burst(ledger)
    await all_have_begun()
    ledger.end_soon(requests[-1], Ending.CLIENT_LEFT)
    coming[-2].cancel()
    gauge.frozen.set()
    await asyncio.wait(coming)
    ledger.end_soon(requests[-2], Ending.TASK_ENDED)
    await quiet(ledger)

    assert (coming[-2].cancelled(), coming[-1].result().admitted) == (True, False)
    assert gauge.slots == {lease for lease, _ in ledger.registry.leases()}
    assert len(gauge.slots) == MANY - 2


async def test_where_nobody_waits_a_turn_takes_none_of_the_event_loops(ledger: Ledger, gauge: ScriptedGauge) -> None:
    coming = asyncio.create_task(ledger.admit(opened(ledger), KEY, 1))
    await asyncio.sleep(0)
    assert gauge.acquires == 1
    await coming


async def test_turns_are_given_back(gauge: ScriptedGauge) -> None:
    ledger = Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=0.05))
    for failing in (None, GaugeUnavailableError("away"), None):
        gauge.failing = failing
        _, coming = burst(ledger)
        await asyncio.gather(*coming)
        gauge.failing = None
        await ledger.renew()
        assert not ledger.outage.on
    before = gauge.acquires
    await ledger.admit(opened(ledger), KEY, 1000)
    assert gauge.acquires == before + 1
