"""Trouble with Redis loses nothing: what is held is written again, what was freed is released, nobody waits twice."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease.lease import CountUnknownError, Ending, Lease
from tests.core.scripted import KEY, ScriptedGauge, new_ledger, opened, quiet

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.ledger import Ledger

AWAY = GaugeUnavailableError("away")


async def admitted(ledger: Ledger, limit: int, requests: int) -> list[bool]:
    return [(await ledger.admit(opened(ledger), KEY, limit)).admitted for _ in range(requests)]


@pytest.mark.parametrize("failure", [AWAY, GaugeCorruptError("a list")])
async def test_without_redis_this_worker_enforces_the_cap_on_what_it_holds(
    ledger: Ledger, gauge: ScriptedGauge, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    gauge.failing = failure
    with caplog.at_level(logging.WARNING):
        assert await admitted(ledger, 2, 3) == [True, True, False]
    assert len(caplog.records) == 1, "one line at the change of state"


async def test_a_key_that_is_no_hash_is_in_no_log_line(
    ledger: Ledger, gauge: ScriptedGauge, caplog: pytest.LogCaptureFixture
) -> None:
    raw = "api_key:secret-of-a-custom-auth"
    request = opened(ledger)
    await ledger.admit(request, raw, 2)
    gauge.failing = GaugeCorruptError(f"Redis key {{{raw}}}:max_parallel_requests is of type list")
    with caplog.at_level(logging.WARNING):
        await ledger.admit(opened(ledger), raw, 2)
        await ledger.end(request, Ending.COMPLETED)
        await quiet(ledger)
    assert "cannot count slots (Redis key {" in caplog.text
    assert "is left to lapse: Redis key {" in caplog.text
    assert "secret" not in caplog.text


async def test_when_it_is_told_to_stay_open_it_admits_without_redis(gauge: ScriptedGauge) -> None:
    gauge.failing = AWAY
    assert await admitted(new_ledger(gauge, on_redis_error="open"), 1, 3) == [True] * 3


async def test_when_it_is_told_to_close_it_admits_nobody_and_goes_on_with_those_it_has(gauge: ScriptedGauge) -> None:
    ledger = new_ledger(gauge, on_redis_error="closed")
    running, turned_away = opened(ledger), opened(ledger)
    await ledger.admit(running, KEY, 2)
    gauge.failing = AWAY
    for _ in range(2):
        with pytest.raises(CountUnknownError):
            await ledger.admit(turned_away, KEY, 2)
        turned_away = opened(ledger)
    gauge.failing = None
    await ledger.renew()
    await quiet(ledger)

    assert (gauge.slots, ledger.registry.held(KEY)) == ({running.lease}, 1)


async def test_one_connection_that_breaks_is_no_outage(ledger: Ledger, gauge: ScriptedGauge) -> None:
    gauge.failures = [AWAY]
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    assert (gauge.slots, ledger.outage.on) == ({request.lease}, False)

    gauge.failures = [AWAY]
    await ledger.renew()
    gauge.failures = [AWAY]
    await ledger.end(request, Ending.COMPLETED)
    assert (gauge.slots, ledger.outage.on) == (set(), False)


async def test_redis_is_not_asked_again_until_a_beat_was_answered(ledger: Ledger, gauge: ScriptedGauge) -> None:
    gauge.failing = AWAY
    await ledger.admit(opened(ledger), KEY, 9)
    gauge.failing, asked = None, gauge.acquires
    late = opened(ledger)
    await ledger.admit(late, KEY, 9)
    assert gauge.acquires == asked, "a frozen Redis delays one request, not every one"

    await ledger.renew()
    assert (len(gauge.slots), ledger.outage.on, late.lease in gauge.slots) == (2, False, True)


async def test_an_outage_is_ended_by_a_beat_also_where_nothing_is_held(ledger: Ledger, gauge: ScriptedGauge) -> None:
    gauge.failing = AWAY
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    await ledger.end(request, Ending.COMPLETED)
    await ledger.renew()
    assert ledger.outage.on
    gauge.failing = None

    await ledger.renew()
    assert not ledger.outage.on


async def test_a_node_of_a_cluster_is_away_for_its_own_keys_alone(ledger: Ledger, gauge: ScriptedGauge) -> None:
    other = "api_key:other"
    gauge.nodes, gauge.away = {KEY: "one", other: "two"}, {"two"}
    here, there = opened(ledger), opened(ledger)
    assert (await ledger.admit(there, other, 1)).admitted
    assert (await ledger.admit(here, KEY, 9)).admitted
    assert gauge.slots == {here.lease}
    await ledger.renew()
    await ledger.end(here, Ending.COMPLETED)
    assert (gauge.slots, ledger.outage.of(other), ledger.outage.of(KEY)) == (set(), True, False)

    gauge.away = set()
    await ledger.renew()
    assert (gauge.slots, ledger.outage.on) == ({there.lease}, False)


async def test_a_beat_that_redis_does_not_answer_begins_the_outage(
    ledger: Ledger, gauge: ScriptedGauge, caplog: pytest.LogCaptureFixture
) -> None:
    await ledger.admit(opened(ledger), KEY, 1)
    gauge.failing = AWAY
    hurried = []
    ledger.outage.when_begun(lambda: hurried.append(ledger.pace()))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await ledger.renew()
    assert (len(caplog.records), hurried) == (1, [1.0])


async def test_a_frozen_redis_delays_a_request_once_and_its_end_not_at_all(gauge: ScriptedGauge) -> None:
    ledger = new_ledger(gauge, redis_timeout=0.1)
    gauge.frozen = asyncio.Event()
    first, second = opened(ledger), opened(ledger)
    started = time.monotonic()
    assert (await ledger.admit(first, KEY, 2)).admitted
    waited = time.monotonic() - started
    assert (await ledger.admit(second, KEY, 2)).admitted
    await ledger.end(first, Ending.COMPLETED)
    await ledger.end(second, Ending.COMPLETED)
    assert (0.09 < waited < 0.5, time.monotonic() - started < waited + 0.09) == (True, True)

    gauge.frozen.set()
    await ledger.renew()
    await quiet(ledger)
    assert gauge.slots == set()


async def test_those_who_asked_a_frozen_redis_are_decided_on_what_this_worker_holds(gauge: ScriptedGauge) -> None:
    """Its answers come late: one that was admitted there and refused here leaves nothing behind."""
    ledger = new_ledger(gauge, redis_timeout=0.05)
    gauge.frozen = asyncio.Event()
    requests = [opened(ledger) for _ in range(3)]
    answers = await asyncio.gather(*(ledger.admit(request, KEY, 2) for request in requests))
    assert sorted(answer.admitted for answer in answers) == [False, True, True]

    gauge.frozen.set()
    await ledger.renew()
    await quiet(ledger)
    assert gauge.slots == {request.lease for request in requests if request.lease}


async def test_a_release_that_redis_did_not_confirm_is_kept_until_it_does(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.failing = AWAY
    await ledger.end(request, Ending.COMPLETED)
    assert (len(gauge.slots), ledger.registry.held(KEY)) == (1, 0), "the process's own count is right meanwhile"
    assert await admitted(ledger, 1, 2) == [True, False]
    gauge.failing = None

    await ledger.renew()
    await quiet(ledger)
    assert (len(gauge.slots), request.lease in gauge.slots) == (1, False)


async def test_a_release_is_kept_for_longer_than_a_lease(gauge: ScriptedGauge) -> None:
    """A frozen Redis carries out an acquire that timed out when it wakes up, however late."""
    ledger = new_ledger(gauge, lease_seconds=1, redis_timeout=0.1)
    request, gauge.frozen = opened(ledger), asyncio.Event()
    await ledger.admit(request, KEY, 1)
    await ledger.end(request, Ending.COMPLETED)
    await asyncio.sleep(1.5)
    gauge.frozen.set()
    assert request.lease is not None
    gauge.slots.add(request.lease)

    await ledger.renew()
    await quiet(ledger)
    assert gauge.slots == set()


async def test_at_the_loops_end_an_outage_is_not_waited_for(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    gauge.failing = AWAY
    started = time.monotonic()
    await ledger.give_back()
    (release,) = asyncio.all_tasks() - {asyncio.current_task()}
    release.cancel()
    await asyncio.wait((release,))
    assert time.monotonic() - started < 1


async def test_leases_that_redis_lost_are_written_again_at_the_next_beat(ledger: Ledger, gauge: ScriptedGauge) -> None:
    """By force: those who were admitted meanwhile are too many, but a count that hid it would admit still more."""
    requests = [opened(ledger) for _ in range(2)]
    for request in requests:
        await ledger.admit(request, KEY, 2)
    gauge.slots = {Lease(KEY)}

    await ledger.renew()
    assert gauge.slots > {request.lease for request in requests}


async def test_leases_are_written_again_after_an_outage_of_any_length(ledger: Ledger, gauge: ScriptedGauge) -> None:
    request = opened(ledger)
    await ledger.admit(request, KEY, 1)
    request.opened_at -= 300
    gauge.failing = AWAY
    await ledger.renew()
    gauge.failing, gauge.slots = None, {Lease(KEY)}

    await ledger.renew()
    assert request.lease in gauge.slots
