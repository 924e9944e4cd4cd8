"""What a slot's id and a worker's record say; and that nothing depends on the record."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.gauge.survey import Survey
from litellm_cancel_guard.lease import records, slotname
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.lease.records import Aside, Record
from tests.gauge.stores import GAUGE, LAYOUTS, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tests.gauge.stores import Store

RECORD = Record(slotname.worker_name(), "host", 7, "0.1.0", "1.109.1", 10.0, 30.0, {GAUGE[8:24]: 4})
KEY = f"cancel_guard:worker:{RECORD.worker}"


def recording(store: Store, layout: str, record: Record = RECORD) -> RedisGauge:
    return RedisGauge(
        lambda: store.client,
        LAYOUTS[layout],
        lease_seconds=30,
        timeout_seconds=TIMEOUT_SECONDS,
        aside=Aside(lambda: record),
    )


@given(st.text(max_size=80))
def test_an_id_says_its_worker_and_route_in_fewer_than_64_bytes(route: str) -> None:
    """Redis keeps a sorted set of longer members in another way, which takes more memory."""
    slot = slotname.new_slot_id(route)
    said = slotname.read(slot)
    assert said is not None
    assert (said.worker, len(slot.encode()) < 64) == (slotname.worker_name(), True)
    assert said.route == "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in route)[:24]


def test_ids_differ_and_those_of_a_forked_process_name_another_worker() -> None:
    ids = {slotname.new_slot_id("acompletion") for _ in range(1000)}
    assert len(ids) == 1000
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, slotname.worker_name().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 99).decode() not in ("", slotname.worker_name())


@pytest.mark.parametrize("other", ["", "a", "1c9f0d9e-6c1b-4a57-9f6d-0d1f3e5f7a11", "0" * 32, "x.1.2.3"])
def test_ids_of_others_say_nothing(other: str) -> None:
    assert slotname.read(other) is None


async def test_a_renewal_writes_the_record_and_an_acquire_does_not(store: Store, layout: str) -> None:
    gauge = recording(store, layout)
    lease = Lease.new(GAUGE, "acompletion")
    await gauge.acquire(lease, 4)
    assert await store.witness.exists(KEY) == 0
    await gauge.renew([lease])
    await _written(gauge)

    seen = records.read(await store.witness.get(KEY), await store.witness.pttl(KEY))
    assert seen is not None
    assert (seen.record, seen.silent_for < 5, seen.silent) == (RECORD, True, False)
    assert 30 < await store.witness.pttl(KEY) / 1000 <= 41


async def test_a_survey_shows_worker_route_limit_and_age(store: Store, layout: str) -> None:
    gauge = recording(store, layout)
    lease = Lease.new(GAUGE, "acompletion")
    await gauge.acquire(lease, 4)
    await gauge.acquire(Lease(GAUGE, "an older guard's"), 4)
    await gauge.renew([lease])
    await _written(gauge)
    survey = Survey(store.client, namespace="")
    [place] = await survey.places()
    count = await survey.count(place)

    said = {slot.id: (slot.route, slot.worker, slot.seen.record.pid if slot.seen else None) for slot in count.slots}
    assert said == {
        lease.id: ("acompletion", RECORD.worker, 7),
        "an older guard's": (None, None, None),
    }
    assert count.limit == 4
    assert count.oldest is not None
    assert 0 <= count.oldest < 5


async def test_a_worker_is_silent_once_it_has_missed_a_beat(store: Store) -> None:
    gauge = recording(store, "slots")
    lease = Lease.new(GAUGE, "acompletion")
    await gauge.acquire(lease, 4)
    await gauge.renew([lease])
    await _written(gauge)
    await store.witness.pexpire(KEY, RECORD.lives_for - 17_000)
    survey = Survey(store.client, namespace="")
    [slot] = (await survey.count((await survey.places())[0])).slots
    assert slot.seen is not None
    assert (round(slot.seen.silent_for), slot.seen.silent) == (17, True)


async def test_a_record_that_cannot_be_written_or_read_costs_no_lease(store: Store, layout: str) -> None:
    gauge = recording(store, layout, replace(RECORD, beat_seconds=-1e9))
    lease = Lease.new(GAUGE, "acompletion")
    await gauge.acquire(lease, 4)
    assert await gauge.renew([lease]) == set(), "Redis refuses a negative expiry"
    await _written(gauge)
    assert await store.witness.exists(KEY) == 0

    await store.witness.hset(KEY, "of another", "type")
    await store.witness.expire(KEY, 60)
    survey = Survey(store.client, namespace="")
    [slot] = (await survey.count((await survey.places())[0])).slots
    assert (slot.id, slot.seen) == (lease.id, None)


async def test_a_record_that_cannot_be_made_costs_no_lease(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Record:
        raise RuntimeError("broken")

    gauge = RedisGauge(lambda: store.client, LAYOUTS["slots"], lease_seconds=30, timeout_seconds=5, aside=Aside(broken))
    lease = Lease.new(GAUGE, "acompletion")
    await gauge.acquire(lease, 4)
    assert await gauge.renew([lease]) == set()
    assert "record could not be made" in caplog.text
    assert [record.name for record in caplog.records] == ["LiteLLM Proxy"], "where faults are counted, and JSON is made"


@pytest.mark.parametrize("text", [None, b"", b"[]", b"{}", b"no json", b'{"worker": "only"}'])
def test_what_is_no_record_is_none(text: bytes | None) -> None:
    assert records.read(text, 1000) is None


async def _written(gauge: RedisGauge) -> None:
    """On a cluster the record goes by itself."""
    if gauge._recording is not None:
        await gauge._recording
