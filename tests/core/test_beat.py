"""What goes wrong within one beat stays in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Ending, Lease
from tests.core.scripted import KEY, ScriptedGauge, opened

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.ledger import Ledger


async def cancelled(*_: object) -> None:
    raise asyncio.CancelledError


async def test_a_renewal_that_is_cancelled_in_a_beat_is_a_failure_of_that_beat_and_no_end_of_it(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for the beat's own, it would end the heartbeat, and every slot be given back under its request."""
    await ledger.admit(opened(ledger), KEY, 1)
    monkeypatch.setattr(gauge, "renew", cancelled)
    with pytest.raises(GaugeUnavailableError, match="CancelledError"):
        await ledger.renew()


async def test_a_lease_whose_writing_is_cancelled_is_written_by_a_later_beat(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    written = set(gauge.slots)
    gauge.slots.clear()
    with monkeypatch.context() as patched:
        patched.setattr(gauge, "hold", cancelled)
        await ledger.renew()
    assert ledger.outage.on
    await ledger.renew()
    assert (gauge.slots, ledger.outage.on) == (written, False)


async def test_what_is_admitted_while_a_failover_is_found_is_in_redis_when_the_outage_ends(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauge.nodes, gauge.away = {KEY: "one"}, {"one"}
    await ledger.admit(opened(ledger), KEY, 9)

    async def found_at_another(_: str) -> int:
        await ledger.admit(opened(ledger), KEY, 9)
        gauge.nodes = {KEY: "two"}
        return 0

    monkeypatch.setattr(gauge, "count", found_at_another)
    await ledger.renew()
    assert (ledger.outage.on, len(gauge.slots)) == (False, 2)


async def test_a_cancellation_of_the_beat_itself_passes_through(ledger: Ledger, gauge: ScriptedGauge) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    gauge.frozen = asyncio.Event()
    beat = asyncio.create_task(ledger.renew())
    await asyncio.sleep(0.01)
    beat.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beat


async def test_a_lease_whose_request_ends_while_it_cannot_be_written_is_forgotten(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.slots.clear()

    async def ends_in_between(*_: object) -> list[bool | None]:
        await ledger.end(request, Ending.COMPLETED)
        return [None]

    monkeypatch.setattr(gauge, "hold", ends_in_between)
    await ledger.renew()
    assert ledger._renewals.unwritten == set()


async def test_an_acquire_on_its_way_is_not_taken_for_lost_by_a_beat(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """Written again whatever the cap, it would be admitted although it is about to be refused, and never released."""
    await ledger.admit(opened(ledger), KEY, 1)
    gauge.hold_acquire = asyncio.Event()
    refused = asyncio.create_task(ledger.admit(opened(ledger), KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    await ledger.renew()
    gauge.hold_acquire.set()

    assert not (await refused).admitted
    assert len(gauge.slots) == 1


async def test_a_beat_gives_the_event_loop_turns_while_it_goes_through_many_leases(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For ten thousand in one go, each stream of the worker waited for 180 ms."""
    for number in range(2000):
        ledger.registry.hold(opened(ledger), Lease(f"api_key:{number}"), 1)
    gauge.slots |= {lease for lease, _ in ledger.registry.leases()}
    turns, asked = 0, asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not asked.is_set():
            turns += 1
            await asyncio.sleep(0)

    async def renew(_: object) -> set[Lease]:
        asked.set()
        return set()

    monkeypatch.setattr(gauge, "renew", renew)
    counting = asyncio.create_task(count())
    await ledger.renew()
    await counting
    assert turns >= 8
