"""Switched off, LiteLLM's objects are those of a process without the guard, but for the callback itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.host import mends
from litellm_cancel_guard.host.configured import Configured
from litellm_cancel_guard.host.grafting import Touch
from litellm_cancel_guard.host.limiter.canary import Proof, Verdict
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.settings import Settings
from tests.limiter.conftest import Client, new_limiter

if TYPE_CHECKING:
    from tests.harness.redis_server import RedisServer

_MISSING = object()


class Before:
    """What each attribute of the host's was when the guard first touched it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._seen: dict[tuple[int, str], tuple[Any, Any]] = {}
        put = Touch.put

        def noted(touch: Touch, owner: Any, name: str, value: Any) -> None:
            self._seen.setdefault((id(owner), name), (owner, vars(owner).get(name, _MISSING)))
            put(touch, owner, name, value)

        monkeypatch.setattr(Touch, "put", noted)

    @property
    def touched(self) -> int:
        return len(self._seen)

    @property
    def changed(self) -> list[str]:
        return [
            f"{owner!r}.{name}"
            for (_, name), (owner, value) in self._seen.items()
            if vars(owner).get(name, _MISSING) is not value
        ]


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Before:
    monkeypatch.setattr("litellm_cancel_guard.host.standing._LATE_EVENTS_SECONDS", 0.0)
    monkeypatch.setattr(mends, "_put_in", {})
    return Before(monkeypatch)


@pytest.fixture
def limiter(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = new_limiter(redis_server.port)
    monkeypatch.setattr("litellm_cancel_guard.host.limiter.find_limiter", lambda: made)
    return made


async def until_nothing_is_changed(before: Before) -> None:
    with anyio.fail_after(5):
        while before.changed:  # noqa: ASYNC110 - the last slot's way back has no event
            await asyncio.sleep(0.005)


async def test_switched_off_at_the_start_it_touches_nothing(
    before: Before, limiter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Configured, "settings", Settings(enabled=False))
    guard = _PROXY_CancelGuard()
    await guard._worker.prepared(guard)
    assert before.touched == 0
    assert {status.state for status in guard._worker.board.group("slots")} == {State.STANDS_ASIDE}


async def test_switched_off_hot_it_takes_all_out_when_the_last_slot_is_back_and_comes_again(
    before: Before, limiter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    guard = _PROXY_CancelGuard()
    worker = guard._worker
    await worker.prepared(guard)
    guard._terminals.adopt(Settings())
    client, done = Client(worker, limiter, max_parallel_requests=2), asyncio.Event()
    running = await client.in_flight(done)
    assert before.touched > 10

    worker._adopt(Settings(enabled=False), guard)
    await asyncio.sleep(0)
    assert before.changed, "a slot is held: its release has to be heard of"
    done.set()
    await running
    await until_nothing_is_changed(before)
    assert await client.held() == 0
    assert caplog.text.count("switched off by its settings") == 1
    said = {status.graft.name: status.state for status in worker.board.statuses() if status.state is State.IN_FORCE}
    assert not {name for name in said if name.startswith(("slots.", "tokens."))}

    worker._adopt(Settings(), guard)
    assert worker.board.of("slots.seam").state is State.IN_FORCE
    await client.pre_call()
    assert await client.held() == 1
    await client.end(Ending.COMPLETED)
    worker._adopt(Settings(enabled=False), guard)
    await until_nothing_is_changed(before)


@pytest.mark.parametrize("state", [State.STANDS_ASIDE, State.TAKEN_OUT])
async def test_a_change_of_settings_puts_nothing_back_that_the_canary_or_its_faults_took_out(
    before: Before, limiter: Any, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    disproven = state is State.STANDS_ASIDE

    async def canary(*_: Any, **__: Any) -> Proof:
        return Proof(Verdict.DISPROVEN, "it counts elsewhere") if disproven else Proof(Verdict.PROVEN)

    monkeypatch.setattr("litellm_cancel_guard.host.limiter.prove", canary)
    guard = _PROXY_CancelGuard()
    worker = guard._worker
    await worker.prepared(guard)
    if not disproven:
        worker.board.who = iter(range(5)).__next__
        for _ in range(5):
            worker.board.fault(worker.board.of("slots.seam").graft, ZeroDivisionError())

    worker._adopt(Settings(lease_seconds=20), guard)
    await worker.prepared(guard)
    assert worker.settings.lease_seconds == 20
    assert not worker.counts()
    assert {status.state for status in worker.board.group("slots")} - {State.NOT_NEEDED} == {state}
