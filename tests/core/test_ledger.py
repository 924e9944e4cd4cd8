"""What the registry decides reaches the gauge, exactly once, through cancellation and trouble with Redis."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease import Admission, Ending, Lease
from litellm_cancel_guard.ledger import Ledger
from litellm_cancel_guard.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.core.stepping import cancelled_at

if TYPE_CHECKING:
    from collections.abc import Collection

KEY = "api_key:k"


class ScriptedGauge:
    """A gauge in a set, whose calls take a turn of the loop before and after the deed, and fail on demand."""

    def __init__(self) -> None:
        self.slots: set[Lease] = set()
        self.releases = 0
        self.most = 0
        self.failing: Exception | None = None
        self.refusals = 0
        self.hold_release: asyncio.Event | None = None
        self.hold_acquire: asyncio.Event | None = None

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing

    async def acquire(self, lease: Lease, limit: int) -> Admission:
        await self._turn()
        admitted = lease in self.slots or len(self.slots) < limit
        if admitted:
            self.slots.add(lease)
        self.most = max(self.most, len(self.slots))
        if not admitted:
            self.refusals += 1
            if self.hold_acquire is not None:
                await self.hold_acquire.wait()
        await asyncio.sleep(0)
        return Admission(admitted=admitted, in_flight=len(self.slots))

    async def release(self, lease: Lease) -> int:
        self.releases += 1
        if self.hold_release is not None:
            await self.hold_release.wait()
        await self._turn()
        self.slots.discard(lease)
        await asyncio.sleep(0)
        return len(self.slots)

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        await self._turn()
        return set(leases) - self.slots

    async def count(self, gauge: str) -> int:
        return len(self.slots)


@pytest.fixture
def gauge() -> ScriptedGauge:
    return ScriptedGauge()


@pytest.fixture
def ledger(gauge: ScriptedGauge) -> Ledger:
    return Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=5))


def opened(ledger: Ledger) -> Request:
    """Open a request of its own, as for another task."""
    request = Request("acompletion")
    assert ledger.registry.held(KEY) >= 0
    return request


async def quiet(ledger: Ledger) -> None:
    while under_way := [task for tasks in ledger._releasing.values() for task in tasks]:
        await asyncio.wait(under_way)


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

    assert await ledger.admit(refused, KEY, 1) == Admission(admitted=False, in_flight=1)
    await ledger.end(refused, Ending.REFUSED)
    assert (refused.lease, gauge.releases, len(gauge.slots)) == (None, 0, 1)


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


async def test_a_refusal_waits_for_a_release_under_way_and_looks_once_more(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    first, second = opened(ledger), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.hold_release = asyncio.Event()
    ledger.end_soon(first, Ending.TASK_ENDED)
    asyncio.get_running_loop().call_soon(gauge.hold_release.set)

    assert (await ledger.admit(second, KEY, 1)).admitted
    assert gauge.most == 1


async def test_a_refusal_waits_for_the_end_of_a_task_that_no_hook_sees(ledger: Ledger, gauge: ScriptedGauge) -> None:
    first, second = Request("pass_through_endpoint"), opened(ledger)
    await ledger.admit(first, KEY, 1)
    asyncio.get_running_loop().call_later(0.005, ledger.end_soon, first, Ending.TASK_ENDED)

    assert (await ledger.admit(second, KEY, 1)).admitted
    assert gauge.most == 1


async def test_a_refusal_looks_once_more_if_a_slot_came_free_while_redis_was_asked(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    """The task of a pass-through request ends while the next request of its client is already being refused."""
    first, second = Request("pass_through_endpoint"), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.hold_acquire = asyncio.Event()
    refused = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    await ledger.end(first, Ending.TASK_ENDED)
    gauge.hold_acquire.set()

    assert (await refused).admitted


async def test_a_refusal_is_not_delayed_when_nothing_is_about_to_come_free(ledger: Ledger) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    refused = asyncio.create_task(ledger.admit(opened(ledger), KEY, 1))
    for _ in range(10):
        await asyncio.sleep(0)

    assert refused.done()
    assert not refused.result().admitted


async def test_a_release_that_redis_refused_is_tried_again_until_it_is_confirmed(
    ledger: Ledger, gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litellm_cancel_guard.ledger._FIRST_RETRY_SECONDS", 0.001)
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.failing = GaugeUnavailableError("away")
    release = ledger.end_soon(request, Ending.COMPLETED)
    assert release is not None
    while gauge.releases < 3:  # noqa: ASYNC110 - the retries take their own time
        await asyncio.sleep(0)
    gauge.failing = None

    await release
    assert gauge.slots == set()


async def test_a_release_that_never_succeeds_is_given_up_when_the_lease_has_lapsed(gauge: ScriptedGauge) -> None:
    ledger = Ledger(Registry(), gauge, Settings(lease_seconds=1))
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.failing = GaugeUnavailableError("away")

    await ledger.end(request, Ending.COMPLETED)
    await quiet(ledger)
    assert gauge.releases < 8


@pytest.mark.parametrize("failure", [GaugeUnavailableError("away"), GaugeCorruptError("a list")])
async def test_without_redis_this_worker_enforces_the_cap_on_what_it_holds(
    ledger: Ledger, gauge: ScriptedGauge, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    gauge.failing = failure
    requests = [opened(ledger) for _ in range(3)]
    with caplog.at_level(logging.WARNING):
        admitted = [(await ledger.admit(request, KEY, 2)).admitted for request in requests]

    assert admitted == [True, True, False]
    assert len(caplog.records) == 1, "one line at the change of state"


async def test_when_it_is_told_to_stay_open_it_admits_without_redis(gauge: ScriptedGauge) -> None:
    ledger = Ledger(Registry(), gauge, Settings(on_redis_error="open"))
    gauge.failing = GaugeUnavailableError("away")

    assert [(await ledger.admit(opened(ledger), KEY, 1)).admitted for _ in range(3)] == [True] * 3


async def test_leases_that_redis_lost_are_written_again_at_the_next_beat(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.slots.clear()

    await ledger.renew()
    assert gauge.slots == {request.lease}


async def test_a_lease_that_lapsed_while_the_loop_stood_still_is_not_taken_back(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.slots.clear()
    ledger._asked_at -= 31
    request.opened_at -= 31

    await ledger.renew()
    assert (gauge.slots, request.ending) == (set(), Ending.LAPSED)


async def test_a_lease_released_while_it_is_renewed_is_neither_lost_nor_written_again(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)

    await asyncio.gather(ledger.renew(), ledger.end(request, Ending.COMPLETED))
    assert (gauge.slots, request.ending) == (set(), Ending.COMPLETED)
