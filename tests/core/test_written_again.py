"""What Redis does not have is written again together, and an outage ends however many come meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Ending, Lease
from tests.core.scripted import KEY, ScriptedGauge, opened, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm_cancel_guard.ledger.ledger import Ledger
    from litellm_cancel_guard.ledger.registry import Request

AWAY = GaugeUnavailableError("away")


async def admitted_without_redis(ledger: Ledger, gauge: ScriptedGauge, count: int) -> list[Request]:
    gauge.failing = AWAY
    requests = [opened(ledger) for _ in range(count)]
    for request in requests:
        await ledger.admit(request, KEY, 1000)
    gauge.failing = None
    return requests


def held(ledger: Ledger) -> set[Lease]:
    return {lease for lease, _ in ledger.registry.leases()}


@pytest.fixture
def saturated(ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch) -> ScriptedGauge:
    """While leases are written, another request is always admitted."""
    hold = gauge.hold

    async def hold_while_another_comes(wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        if gauge.holds > 50:
            raise RecursionError("the outage does not end")
        await ledger.admit(opened(ledger), KEY, 1000)
        return await hold(wanted)

    monkeypatch.setattr(gauge, "hold", hold_while_another_comes)
    return gauge


async def test_an_outage_ends_although_another_is_admitted_whenever_leases_are_written(
    ledger: Ledger, saturated: ScriptedGauge
) -> None:
    """It would last until the load stops, and no lease be renewed nor slot be given back meanwhile."""
    await admitted_without_redis(ledger, saturated, 3)
    await ledger.renew()
    assert not ledger.outage.on
    assert saturated.slots == held(ledger), "those who came at last are in the count, too"


async def test_an_outage_that_begins_while_the_last_are_written_loses_none_of_them(
    ledger: Ledger, saturated: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admitted_without_redis(ledger, saturated, 1)
    end = ledger.outage.end

    def end_and_be_away(node: str) -> None:
        end(node)
        saturated.failing = AWAY

    with monkeypatch.context() as patched:
        patched.setattr(ledger.outage, "end", end_and_be_away)
        await ledger.renew()
    assert (ledger.outage.on, saturated.slots < held(ledger)) == (True, True)

    saturated.failing = None
    await ledger.renew()
    assert (ledger.outage.on, saturated.slots) == (False, held(ledger))


async def test_all_that_redis_lost_are_written_by_one_call(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """One by one, ten thousand take longer than a lease, and lapse."""
    for _ in range(100):
        await ledger.admit(opened(ledger), KEY, 100)
    gauge.slots.clear()
    await ledger.renew()
    assert (gauge.holds, len(gauge.slots)) == (1, 100)


async def test_a_lease_that_was_written_in_vain_is_released_when_its_request_ends(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    """Redis may have carried it out although its answer was lost."""
    [request] = await admitted_without_redis(ledger, gauge, 1)
    gauge.failing_at_hold = AWAY
    await ledger.renew()
    assert ledger.outage.on
    assert request.lease is not None
    gauge.slots.add(request.lease)
    gauge.failing_at_hold = None

    await ledger.end(request, Ending.COMPLETED)
    await ledger.renew()
    await quiet(ledger)
    assert (gauge.slots, ledger._renewals.unsure, ledger._renewals.unwritten) == (set(), set(), set())


async def test_one_whose_request_ends_while_it_is_written_is_given_back(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """Its release may overtake the writing, and find nothing."""
    request = (await admitted_without_redis(ledger, gauge, 2))[0]
    gauge.hold_hold = asyncio.Event()
    beat = asyncio.create_task(ledger.renew())
    while not gauge.holds:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    ledger.end_soon(request, Ending.COMPLETED)
    gauge.hold_hold.set()
    await beat
    await quiet(ledger)
    assert gauge.slots == held(ledger)
    assert len(gauge.slots) == 1


async def test_whoever_follows_one_whose_lease_is_being_written_is_not_refused_for_it(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the slot that was written after its release, before the beat knows of that."""
    first, second, answered, hold = opened(ledger), opened(ledger), asyncio.Event(), gauge.hold

    async def hold_and_answer_late(wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        ledger.end_soon(first, Ending.COMPLETED)
        for _ in range(5):
            await asyncio.sleep(0)
        held = await hold(wanted)
        await answered.wait()
        return held

    monkeypatch.setattr(gauge, "hold", hold_and_answer_late)
    await ledger.admit(first, KEY, 1)
    gauge.slots.clear()
    beat = asyncio.create_task(ledger.renew())
    while not gauge.holds:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    follows = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    answered.set()

    assert (await follows).admitted
    await beat


async def giving_back(ledger: Ledger, gauge: ScriptedGauge) -> tuple[asyncio.Event, asyncio.Task[None]]:
    """A beat that Redis answers again, and that waits, until the event is set, for one who ended meanwhile."""
    over = opened(ledger)
    await ledger.admit(over, KEY, 1)
    gauge.failing = AWAY
    await ledger.end(over, Ending.COMPLETED)
    gauge.failing, gauge.hold_release = None, asyncio.Event()
    beat, before = asyncio.create_task(ledger.renew()), gauge.releases
    while gauge.releases == before:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    return gauge.hold_release, beat


async def test_an_outage_ends_when_the_slots_that_were_given_back_meanwhile_are_free(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    """Redis still has the slot of a request that is over: whoever asks there before it is free is refused for it."""
    (release, beat), second, third = await giving_back(ledger, gauge), opened(ledger), opened(ledger)
    assert ledger.outage.on
    assert (await ledger.admit(second, KEY, 1)).admitted
    await ledger.end(second, Ending.COMPLETED)

    release.set()
    await beat
    assert not ledger.outage.on
    assert gauge.slots == set()
    assert (await ledger.admit(third, KEY, 1)).admitted


async def test_an_outage_goes_on_if_redis_fails_again_while_slots_are_given_back(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    release, beat = await giving_back(ledger, gauge)
    gauge.failing = AWAY
    release.set()
    await beat
    assert ledger.outage.on

    gauge.failing = None
    await ledger.renew()
    assert (ledger.outage.on, gauge.slots) == (False, set())


async def test_one_key_that_holds_another_type_keeps_the_others_from_nothing(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    await admitted_without_redis(ledger, gauge, 2)
    other, corrupt = opened(ledger), "api_key:corrupt"
    await ledger.admit(other, corrupt, 9)
    gauge.corrupt = {corrupt}
    await ledger.renew()
    assert ledger._renewals.unwritten == {other.lease}
    assert (ledger.outage.on, len(gauge.slots)) == (False, 2)

    gauge.corrupt = set()
    await ledger.renew()
    assert gauge.slots == held(ledger)
    assert len(gauge.slots) == 3
