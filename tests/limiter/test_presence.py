"""A worker is there for those who look from its start on, whatever is in force in it and whether a request has come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.configured import Configured
from litellm_cancel_guard.lease import records
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.lease.lease import Ending, Lease
from litellm_cancel_guard.lease.slotname import worker_name
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.ledger.registry import Request
from litellm_cancel_guard.settings import Settings
from tests.limiter.conftest import new_limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from litellm_cancel_guard.lease.records import Record
    from litellm_cancel_guard.worker import Worker
    from tests.harness.redis_server import RedisServer

KEY = f"cancel_guard:worker:{worker_name()}"


class Told(Observer):
    def __init__(self) -> None:
        self.about: Mapping[str, str] = {}

    def introduced(self, about: Mapping[str, str]) -> None:
        self.about = about


async def started(limiter: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Worker, Told]:
    """A worker whose proxy has *limiter*, before its first request."""
    monkeypatch.setattr("litellm_cancel_guard.host.limiter.find_limiter", lambda: limiter)
    guard, told = _PROXY_CancelGuard(), Told()
    monkeypatch.setattr("litellm_cancel_guard.worker.observe", lambda observers, *_, **__: observers.add(told))
    await guard._worker.prepared(guard)
    return guard._worker, told


async def said(redis: RedisServer, **wanted: Any) -> Record:
    """The record, as soon as it says that."""
    with anyio.fail_after(5):
        while True:
            seen = records.read(redis.client.get(KEY), redis.client.pttl(KEY))
            if seen is not None and all(getattr(seen.record, name) == value for name, value in wanted.items()):
                return seen.record
            await anyio.sleep(0.01)


async def test_it_says_what_it_runs_before_any_request_and_leaves_with_its_server(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.client.delete(KEY)
    worker, told = await started(new_limiter(redis_server.port), monkeypatch)
    record = await said(redis_server, slots=0, missing={})
    assert record.limiter in ("slots, in Redis", "counting, in Redis")
    assert record.litellm == host.litellm_version()
    assert record.settings == worker.settings.model_dump(mode="json")
    assert (told.about["limiter"], told.about["redis"]) == (record.limiter, "yes")
    assert [seen.record.worker for seen in await worker.presence.workers()].count(worker_name()) == 1
    assert redis_server.client.pttl(KEY) > 0

    await worker._give_back()
    assert redis_server.client.exists(KEY) == 0


async def test_what_is_taken_out_is_said_at_once(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, _ = await started(new_limiter(redis_server.port), monkeypatch)
    await said(redis_server, missing={})
    worker.standing.stand_aside(State.TAKEN_OUT, "ValueError in slots.seam, met by 5 requests")
    needed = {s.graft.name: str(s) for s in worker.board.group("slots") if s.state is not State.NOT_NEEDED}
    assert set(needed.values()) == {"taken out: ValueError in slots.seam, met by 5 requests"}
    await said(redis_server, missing=needed)


async def test_a_worker_whose_limiter_nobody_knows_is_there_and_says_so(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = new_limiter(redis_server.port)
    limiter.should_rate_limit = lambda: None
    _, told = await started(limiter, monkeypatch)
    record = await said(redis_server, limiter="none that the guard knows")
    assert "of a shape that this version of the guard does not know" in record.missing["slots.seam"]
    assert told.about["limiter"] == "none that the guard knows"


async def test_a_worker_that_counts_nothing_leaves_with_its_server_too(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record would be there for 40 s more, and at a rollout each ended worker would pass for a silent one."""
    at_the_end = ends_of(monkeypatch)
    limiter = new_limiter(redis_server.port)
    limiter.should_rate_limit = lambda: None
    redis_server.client.delete(KEY)
    worker, _ = await started(limiter, monkeypatch)
    await said(redis_server, slots=0)
    assert worker.ledger is None
    [leave] = at_the_end
    await leave()
    assert redis_server.client.exists(KEY) == 0


async def test_one_that_is_switched_off_leaves_its_server_as_it_is_until_it_is_switched_on(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_end = ends_of(monkeypatch)
    monkeypatch.setattr(Configured, "settings", Settings(enabled=False))
    worker, _ = await started(new_limiter(redis_server.port), monkeypatch)
    await said(redis_server, slots=0)
    assert (worker.ledger, at_the_end) == (None, [])
    worker._adopt(Settings(), None)
    assert len(at_the_end) == 1
    await worker._give_back()


def ends_of(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Awaitable[None]]]:
    """What is to be done at a server's end."""
    at_the_end: list[Callable[[], Awaitable[None]]] = []
    monkeypatch.setattr("litellm_cancel_guard.worker.act_last", lambda act, *_: at_the_end.append(act))
    return at_the_end


async def test_what_is_being_written_as_a_server_ends_is_removed_behind_it(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is slow would write the record of an ended worker behind its removal: silent for 40 s."""
    worker, _ = await started(new_limiter(redis_server.port), monkeypatch)
    await said(redis_server, slots=0)
    presence, written, go_on = worker.presence, asyncio.Event(), asyncio.Event()
    write = presence._notice.write  # type: ignore[union-attr]

    async def late(*args: Any) -> Any:
        written.set()
        await go_on.wait()
        return await write(*args)

    monkeypatch.setattr(presence._notice, "write", late)
    presence._beat()
    await written.wait()
    leaving = asyncio.create_task(worker._give_back())
    await asyncio.sleep(0)
    go_on.set()
    await leaving
    await asyncio.wait_for(presence._writing, 5)  # type: ignore[arg-type]
    assert redis_server.client.exists(KEY) == 0


async def test_without_redis_or_with_one_that_is_away_a_worker_knows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, told = await started(new_limiter(), monkeypatch)
    [alone] = await worker.presence.workers()
    assert (alone.record.worker, alone.record.limiter.endswith("in the process")) == (worker_name(), True)
    assert told.about["redis"] == "no"
    await worker._give_back()

    limiter = new_limiter(1)
    worker, told = await started(limiter, monkeypatch)
    assert told.about["redis"] == "yes"
    await worker._give_back()


async def test_what_is_ordered_of_it_is_done_and_what_it_counted_is_added_with_its_next_beat(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, _ = await started(new_limiter(redis_server.port), monkeypatch)
    await said(redis_server, obeys=True)
    request, lease, store = Request("acompletion"), Lease.new("api_key:ordered", "acompletion"), redis_server.client
    worker.registry.hold(request, lease, 4)
    task = asyncio.create_task(asyncio.sleep(60))
    worker.registry._by_task[task] = request
    hour = Keys().counted(str(int(time.time()) // 3600))
    store.delete(hour)
    worker.registry.observer.reclaimed(3)
    store.hset(Keys().orders(worker_name()), lease.id, "the test")
    worker.presence.hurry()
    with pytest.raises(asyncio.CancelledError), anyio.fail_after(5):
        await task
    worker.registry.end(request, Ending.TASK_ENDED)
    assert request.ending is Ending.KILLED
    assert store.hgetall(hour) == {"reclaimed": "3"}
    store.delete(Keys().orders(worker_name()), hour)
    await worker._give_back()
