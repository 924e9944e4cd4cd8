"""Before it refuses, the ledger waits for what is about to come free, and looks once more."""

from __future__ import annotations

import asyncio
import time

import pytest

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.core.scripted import KEY, ScriptedGauge, opened, quiet


@pytest.mark.parametrize("seconds", [0, 0.2])
async def test_a_refusal_waits_for_a_release_under_way_and_looks_once_more(
    ledger: Ledger, gauge: ScriptedGauge, seconds: float
) -> None:
    """A client alone with its key would be refused whenever a release takes longer than a moment: on a busy worker."""
    first, second = opened(ledger), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.hold_release = asyncio.Event()
    ledger.end_soon(first, Ending.TASK_ENDED)
    asyncio.get_running_loop().call_later(seconds, gauge.hold_release.set)

    assert (await ledger.admit(second, KEY, 1)).admitted
    assert gauge.most == 1


async def test_a_refusal_by_a_redis_that_is_away_when_it_arrives_means_nothing(
    ledger: Ledger, gauge: ScriptedGauge
) -> None:
    """It is for a slot that has been given back, although Redis could not be told."""
    first, second = opened(ledger), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.hold_release, gauge.hold_acquire = asyncio.Event(), asyncio.Event()
    ledger.end_soon(first, Ending.COMPLETED)
    refused = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    ledger.outage.begin(KEY, "away")
    gauge.hold_acquire.set()

    assert (await refused).admitted
    gauge.hold_release.set()


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


async def test_one_that_ends_while_its_refusal_waits_takes_no_slot(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """It ends no more: a slot that it took then would be renewed until the worker stops."""
    first, second = opened(ledger), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.hold_release = asyncio.Event()
    ledger.end_soon(first, Ending.TASK_ENDED)
    refused = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    for _ in range(8):
        await asyncio.sleep(0)
    await ledger.end(second, Ending.CLIENT_LEFT)
    gauge.hold_release.set()

    assert not (await refused).admitted
    await quiet(ledger)
    assert (gauge.slots, ledger.registry.held(KEY)) == (set(), 0)


async def test_a_refusal_waits_on_while_the_event_loop_stands_still(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """The time is up before the task whose end is awaited could run."""
    first, second = Request("pass_through_endpoint"), opened(ledger)
    await ledger.admit(first, KEY, 1)
    refused = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    for _ in range(4):
        await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - the loop is to stand still
    await asyncio.sleep(0)
    await ledger.end(first, Ending.TASK_ENDED)

    assert (await refused).admitted


async def test_a_refusal_that_took_long_looks_once_more_as_well(gauge: ScriptedGauge) -> None:
    ledger = Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=0.2))
    first, second = Request("pass_through_endpoint"), opened(ledger)
    await ledger.admit(first, KEY, 1)
    gauge.late = 0.15
    refused = asyncio.create_task(ledger.admit(second, KEY, 1))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    gauge.late = 0
    await ledger.end(first, Ending.TASK_ENDED)

    assert (await refused).admitted


async def test_a_refusal_is_not_delayed_when_nothing_is_about_to_come_free(ledger: Ledger) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    refused = asyncio.create_task(ledger.admit(opened(ledger), KEY, 1))
    for _ in range(10):
        await asyncio.sleep(0)

    assert refused.done()
    assert not refused.result().admitted


async def test_a_key_at_rest_leaves_nothing_of_those_who_waited_for_it(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """Keys come and go, and the worker stays."""
    slow, refused = Request("pass_through_endpoint"), opened(ledger)
    gauge.hold_acquire = held = asyncio.Event()
    waiting = asyncio.create_task(ledger.admit(slow, KEY, 0))
    while not gauge.refusals:  # noqa: ASYNC110 - the moment is inside the gauge
        await asyncio.sleep(0)
    gauge.hold_acquire = None
    second_look = asyncio.create_task(ledger.admit(refused, KEY, 0))
    while KEY not in ledger._releases._waiting:  # noqa: ASYNC110 - the moment is inside the ledger
        await asyncio.sleep(0)
    held.set()
    assert not (await second_look).admitted
    assert not (await waiting).admitted
    assert (ledger._releases._waiting, ledger._releases._freed) == ({}, {})
