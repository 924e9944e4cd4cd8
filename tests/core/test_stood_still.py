"""An event loop that stood still is no outage, and what lapsed meanwhile is taken back as far as it is free."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Ending, Lease
from tests.core.scripted import KEY, ScriptedGauge, new_ledger, opened

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.ledger import Ledger

AWAY = GaugeUnavailableError("away")


@pytest.mark.parametrize("answers_at_first", [True, False])
async def test_what_lapsed_while_the_loop_stood_still_is_taken_back_only_as_far_as_it_is_free(
    ledger: Ledger, gauge: ScriptedGauge, caplog: pytest.LogCaptureFixture, answers_at_first: bool
) -> None:
    requests = [opened(ledger) for _ in range(3)]
    for request in requests:
        await ledger.admit(request, KEY, 3)
        request.opened_at -= 31
    others = {Lease(KEY), Lease(KEY)}
    gauge.slots = set(others)
    ledger._renewals._asked_at -= 31
    if not answers_at_first:
        gauge.failing = AWAY
        await ledger.renew()
        gauge.failing = None
    with caplog.at_level(logging.WARNING):
        await ledger.renew()

    assert (others < gauge.slots, len(gauge.slots)) == (True, 3)
    assert [request.ending for request in requests].count(Ending.LAPSED) == 2
    assert "3 slots of running requests lapsed; 1 were still free" in caplog.text
    for request in requests:
        await ledger.end(request, Ending.COMPLETED)
    assert gauge.slots == others, "a request that lost its slot gives none back"


@pytest.mark.parametrize("seconds", [0.043, 0.2])
async def test_a_loop_that_stood_still_while_redis_answered_is_no_outage(gauge: ScriptedGauge, seconds: float) -> None:
    ledger = new_ledger(gauge, redis_timeout=0.05)
    gauge.late = 0.02
    asking = asyncio.create_task(ledger.admit(opened(ledger), KEY, 1))
    await asyncio.sleep(0.01)
    time.sleep(seconds)  # noqa: ASYNC251 - the loop stands still: that is the case
    assert (await asking).admitted
    assert not ledger.outage.on


@pytest.mark.parametrize("seconds", [0.08, 0.3])
async def test_a_loop_that_stood_still_while_a_beat_was_answered_is_no_outage(
    gauge: ScriptedGauge, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    ledger = new_ledger(gauge, redis_timeout=0.05)
    await ledger.admit(opened(ledger), KEY, 1)
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    async def renew(_: object) -> set[Lease]:
        await reader.read(1)
        for _ in range(3):
            await asyncio.sleep(0)
        return set()

    def answer_and_stand_still() -> None:
        theirs.send(b"!")
        time.sleep(seconds)

    monkeypatch.setattr(gauge, "renew", renew)
    asyncio.get_running_loop().call_later(0.01, answer_and_stand_still)
    await ledger.renew()
    writer.close()
    theirs.close()
    assert not ledger.outage.on
