"""What the registry decides reaches the gauge, exactly once, through cancellation and trouble with Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.lease import Admission, Ending
from tests.core.scripted import KEY, ScriptedGauge, opened, quiet
from tests.core.stepping import cancelled_at

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.ledger import Ledger


async def test_a_request_holds_a_slot_until_it_ends(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)

    assert await ledger.admit(request, KEY, 1) == Admission(admitted=True, in_flight=1)
    assert gauge.slots == {request.lease}
    await ledger.end(request, Ending.COMPLETED)
    assert (gauge.slots, ledger.registry.held(KEY)) == (set(), 0)


async def test_admitting_it_again_takes_no_second_slot(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)

    assert (await ledger.admit(request, KEY, 1)).admitted
    assert len(gauge.slots) == 1


async def test_the_one_above_the_cap_is_refused_and_holds_nothing(ledger: Ledger, gauge: ScriptedGauge) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    refused = opened(ledger)

    answer = await ledger.admit(refused, KEY, 1)
    assert answer == Admission(admitted=False, in_flight=1)
    assert answer.retry_after == 1
    await ledger.end(refused, Ending.REFUSED)
    assert (refused.lease, gauge.releases, len(gauge.slots)) == (None, 0, 1)


async def test_when_to_come_back_goes_by_how_long_slots_were_held(ledger: Ledger) -> None:
    before = opened(ledger)
    await ledger.admit(before, KEY, 1)
    assert before.held_since is not None
    before.held_since -= 20
    await ledger.end(before, Ending.COMPLETED)
    await ledger.admit(opened(ledger), KEY, 1)

    assert 20 <= (await ledger.admit(opened(ledger), KEY, 1)).retry_after <= 25


async def test_who_is_admitted_is_no_longer_known_as_refused(ledger: Ledger) -> None:
    held, refused, served = opened(ledger), opened(ledger), opened(ledger)
    refused.caller = served.caller = 7
    await ledger.admit(held, KEY, 1)
    await ledger.admit(refused, KEY, 1)
    known = ledger._turnover._gauges[KEY].refused
    assert 7 in known

    await ledger.end(held, Ending.COMPLETED)
    await ledger.admit(served, KEY, 1)
    assert 7 not in known


async def test_it_is_released_once_however_many_say_that_it_ended(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)

    await asyncio.gather(*(ledger.end(request, ending) for ending in Ending))
    assert gauge.releases == 1


@pytest.mark.parametrize("step", range(12))
async def test_cancelling_an_admission_anywhere_leaves_nothing_after_its_end(
    ledger: Ledger, gauge: ScriptedGauge, step: int
) -> None:
    request = opened(ledger)
    await cancelled_at(lambda: ledger.admit(request, KEY, 1), step)
    await ledger.end(request, Ending.TASK_ENDED)
    await quiet(ledger)
    await asyncio.sleep(0)

    assert (gauge.slots, ledger.registry.held(KEY)) == (set(), 0)


@pytest.mark.parametrize("step", range(12))
async def test_cancelling_a_release_anywhere_still_releases(ledger: Ledger, gauge: ScriptedGauge, step: int) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    await cancelled_at(lambda: ledger.end(request, Ending.CLIENT_LEFT), step)
    await quiet(ledger)

    assert (gauge.slots, gauge.releases) == (set(), 1)


async def test_a_cancellation_that_comes_out_of_the_gauge_is_an_outage_and_not_the_requests(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody cancelled the request: raised into it, its client would be hung up on."""

    async def cancelled(*_: object) -> Admission:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    monkeypatch.setattr(gauge, "acquire", cancelled)
    assert (await ledger.admit(opened(ledger), KEY, 1)).admitted
    assert ledger.outage.on


async def test_one_that_comes_before_the_gauge_first_waits_is_no_other(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object) -> Admission:
        raise asyncio.CancelledError

    monkeypatch.setattr(gauge, "acquire", cancelled)
    assert (await ledger.admit(opened(ledger), KEY, 1)).admitted
    assert ledger.outage.on


async def test_of_many_that_end_at_once_a_few_ask_redis_at_a_time(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """All connections taken, those at the end of the queue would take Redis for away, as would a new request."""
    leaving = [opened(ledger) for _ in range(100)]
    for request in leaving:
        await ledger.admit(request, KEY, 100)
    gauge.hold_release = asyncio.Event()
    for request in leaving:
        ledger.end_soon(request, Ending.CLIENT_LEFT)
    for _ in range(5):
        await asyncio.sleep(0)
    asked = gauge.releases
    gauge.hold_release.set()
    await quiet(ledger)

    assert 10 < asked < 50, "of 50 connections"
    assert (gauge.slots, gauge.releases) == (set(), 100)


async def test_a_lease_released_while_it_is_renewed_is_neither_lost_nor_written_again(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)

    await asyncio.gather(ledger.renew(), ledger.end(request, Ending.COMPLETED))
    assert (gauge.slots, request.ending) == (set(), Ending.COMPLETED)


async def test_a_slow_release_is_done_once_although_its_client_leaves_twice(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.hold_release = asyncio.Event()
    leaving = asyncio.create_task(ledger.end(request, Ending.CLIENT_LEFT))
    while not gauge.releases:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    for _ in range(2):
        leaving.cancel()
        await asyncio.sleep(0)
    assert (leaving.done(), len(gauge.slots)) == (False, 1)
    ledger.end_soon(request, Ending.TASK_ENDED)
    gauge.hold_release.set()

    with pytest.raises(asyncio.CancelledError):
        await leaving
    await quiet(ledger)
    assert (gauge.slots, gauge.releases) == (set(), 1)


def test_a_release_under_way_when_its_loop_ends_is_done_again(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """What it was sent by is gone with the loop's connections."""

    async def serve() -> None:
        request = opened(ledger)
        await ledger.admit(request, KEY, 1)
        gauge.late = 0.01
        ledger.end_soon(request, Ending.CLIENT_LEFT)
        while not gauge.releases:  # noqa: ASYNC110 - the moment is inside the gauge
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert (gauge.slots, gauge.releases) == (set(), 2)
