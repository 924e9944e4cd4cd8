"""A request whose key is full waits its turn, and whatever becomes of it, nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.local import LocalGauge
from litellm_cancel_guard.lease.lease import CountUnknownError, Ending, Parting, Turn
from litellm_cancel_guard.ledger import line
from litellm_cancel_guard.ledger.holding import Holdings
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.core.scripted import KEY, quiet
from tests.core.stepping import cancelled_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease
    from litellm_cancel_guard.ledger.observer import Observed


class LateGauge(LocalGauge):
    """The gauge in memory, at the other end of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.deaf = False
        self.lined = True
        self.looks = 0
        self.lost_looks = 0
        self.hold_answers: asyncio.Event | None = None

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise GaugeUnavailableError("away")

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        await self._turn()
        answer = await super().acquire(lease if self.lined else replace(lease, turn=None), limit, follow_up)
        await asyncio.sleep(0)
        if self.hold_answers is not None:
            await self.hold_answers.wait()
        return answer

    async def release(self, lease: Lease) -> int:
        await self._turn()
        return await super().release(lease)

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        await self._turn()
        self.looks += 1
        if self.lost_looks:
            self.lost_looks -= 1
            raise GaugeUnavailableError("a connection was closed")
        return await super().look(gauge, ids)

    def hear(self, told: Callable[[str], object]) -> None:
        super().hear(lambda name: None if self.deaf else told(name))


class Client:
    """As `Served`: it leaves when it is told to."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()

    async def left(self) -> bool:
        return await self.leaves.wait()


@pytest.fixture
def late() -> LateGauge:
    return LateGauge()


@pytest.fixture
def ledger(late: LateGauge) -> Ledger:
    return Ledger(Registry(), late, Settings(redis_timeout=5))


def request(patience: float = 30, most: int = 9) -> Request:
    one = Request("acompletion")
    one.turn, one.patience = Turn(most), patience
    return one


async def waiting(ledger: Ledger, one: Request, count: int = 1) -> asyncio.Task[Admission]:
    """The admission of *one*, which waits with others."""
    task = asyncio.ensure_future(ledger.admit(one, KEY, 1))
    while len(ledger.line.waiting(KEY)) < count:  # noqa: ASYNC110 - no one event is all of them
        await asyncio.sleep(0)
    return task


async def assert_at_rest(ledger: Ledger, late: LateGauge) -> None:
    await quiet(ledger)
    assert (late._held, late._lines, ledger.line._by_id, ledger.line._waiters) == ({}, {}, {}, {})
    assert ledger.registry.idle


async def test_it_is_admitted_when_a_slot_comes_free(ledger: Ledger, late: LateGauge) -> None:
    first, second = request(), request()
    assert (await ledger.admit(first, KEY, 1)).admitted
    task = await waiting(ledger, second)
    assert ledger.registry.held(KEY) == 1
    await ledger.end(first, Ending.COMPLETED)

    assert (await task).admitted
    assert second.lease is not None
    assert (first.waited, second.waited > 0) == (0, True)
    await ledger.end(second, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_it_is_refused_with_a_delay_when_its_time_is_up(ledger: Ledger, late: LateGauge) -> None:
    first, second = request(), request(patience=0.05)
    await ledger.admit(first, KEY, 1)

    answer = await ledger.admit(second, KEY, 1)
    assert (answer.admitted, answer.in_flight, answer.retry_after >= 1) == (False, 1, True)
    await ledger.end(first, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_it_is_refused_at_once_where_as_many_wait_as_may(ledger: Ledger, late: LateGauge) -> None:
    first, second, third = request(), request(most=1), request(most=1)
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)

    assert not (await ledger.admit(third, KEY, 1)).admitted
    await ledger.end(first, Ending.COMPLETED)
    await ledger.end(second, Ending.COMPLETED) if (await task).admitted else None
    await assert_at_rest(ledger, late)


@pytest.mark.parametrize("step", range(14))
async def test_cancelled_at_any_step_it_leaves_the_line_and_the_slot_goes_to_the_next(
    ledger: Ledger, late: LateGauge, step: int
) -> None:
    first, second, third = request(), request(), request()
    await ledger.admit(first, KEY, 1)

    async def admit_and_end() -> None:
        try:
            await ledger.admit(second, KEY, 1)
        finally:
            ledger.end_soon(second, Ending.TASK_ENDED)

    async def ends_soon() -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        await ledger.end(first, Ending.COMPLETED)

    ending = asyncio.ensure_future(ends_soon())
    await cancelled_at(admit_and_end, step)
    await ending
    assert (await asyncio.wait_for(ledger.admit(third, KEY, 1), 5)).admitted
    await ledger.end(third, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_it_leaves_with_its_client_and_takes_no_slot(ledger: Ledger, late: LateGauge) -> None:
    first, second, client = request(), request(), Client()
    second.served = client  # type: ignore[assignment]
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    client.leaves.set()

    assert not (await asyncio.wait_for(task, 0.5)).admitted
    assert second.ending is Ending.CLIENT_LEFT
    await quiet(ledger)
    assert late._lines == {}
    await ledger.end(first, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_one_that_leaves_is_nobody_who_was_refused_and_is_told_to_come_back(
    ledger: Ledger, late: LateGauge
) -> None:
    first, second, client = request(), request(), Client()
    second.served, second.about = client, ("m", "its call id", "/", {})  # type: ignore[assignment]
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    client.leaves.set()

    answer = await asyncio.wait_for(task, 0.5)
    assert (answer.admitted, answer.retry_after) == (False, 1)
    assert ledger.registry.refusals.kept() == ()
    assert ledger._turnover._of(KEY).refused == {}
    await ledger.end(first, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_one_that_ends_while_it_waits_takes_no_slot(
    ledger: Ledger, late: LateGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    ledger.end_soon(second, Ending.TASK_ENDED)
    await ledger.end(first, Ending.COMPLETED)

    assert not (await task).admitted
    await assert_at_rest(ledger, late)


async def test_a_message_that_gets_lost_is_made_up_for_by_the_next_look(
    ledger: Ledger, late: LateGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.05)
    late.deaf = True
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    await ledger.end(first, Ending.COMPLETED)

    assert (await asyncio.wait_for(task, 5)).admitted
    await ledger.end(second, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_a_message_that_overtakes_the_answer_is_heard(
    ledger: Ledger, late: LateGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 60)
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    late.hold_answers = asyncio.Event()
    task = asyncio.ensure_future(ledger.admit(second, KEY, 1))
    while not late._lines:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    await ledger.end(first, Ending.COMPLETED)
    late.hold_answers.set()

    assert (await asyncio.wait_for(task, 5)).admitted
    await ledger.end(second, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


@pytest.mark.parametrize(("choice", "admitted"), [("local", [True, False]), ("open", [True, True])])
async def test_when_redis_goes_those_who_wait_are_answered_as_the_operator_chose(
    late: LateGauge, monkeypatch: pytest.MonkeyPatch, choice: Any, admitted: list[bool]
) -> None:
    """The slot is held by another worker: this one holds none, and lets as many pass as the cap says."""
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    ledger = Ledger(Registry(), late, Settings(redis_timeout=5, on_redis_error=choice))
    other = Ledger(Registry(), late, Settings())
    first, requests = request(), [request(), request()]
    await other.admit(first, KEY, 1)
    tasks = [await waiting(ledger, one, count) for count, one in enumerate(requests, 1)]
    late.away = True

    assert [(await asyncio.wait_for(task, 5)).admitted for task in tasks] == admitted
    late.away = False
    for one in requests:
        ledger.end_soon(one, Ending.COMPLETED)
    await ledger.renew()
    await other.end(first, Ending.COMPLETED)
    await quiet(other)
    await assert_at_rest(ledger, late)


async def test_when_redis_goes_and_the_operator_chose_closed_they_are_told_that_nobody_knows(
    late: LateGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    ledger = Ledger(Registry(), late, Settings(redis_timeout=5, on_redis_error="closed"))
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    late.away = True

    with pytest.raises(CountUnknownError):
        await asyncio.wait_for(task, 5)
    late.away = False
    ledger.end_soon(first, Ending.COMPLETED)
    await ledger.renew()
    await assert_at_rest(ledger, late)


async def test_a_worker_that_ends_gives_its_places_up(ledger: Ledger, late: LateGauge) -> None:
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    await ledger.give_back()

    assert (late._held, late._lines) == ({}, {})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_at_rest(ledger, late)


async def test_without_a_turn_it_is_refused_as_ever_though_others_wait(ledger: Ledger, late: LateGauge) -> None:
    first, second, plain = request(), request(), Request("acompletion")
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)

    assert not (await ledger.admit(plain, KEY, 1)).admitted
    await ledger.end(first, Ending.COMPLETED)
    assert (await task).admitted
    await ledger.end(second, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_a_connection_that_is_closed_during_a_look_answers_nobody_who_waits(
    ledger: Ledger, late: LateGauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for an outage, it would have each worker let as many pass as the cap says, whatever the others hold."""
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    other = Ledger(Registry(), late, Settings())
    first, second = request(), request()
    await other.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    looks = late.looks
    late.lost_looks = 2
    while late.looks < looks + 4 and not task.done():  # noqa: ASYNC110 - the event is a number of looks
        await asyncio.sleep(0.01)

    assert (ledger.outage.on, task.done()) == (False, False)
    await other.end(first, Ending.COMPLETED)
    assert (await asyncio.wait_for(task, 5)).admitted
    await ledger.end(second, Ending.COMPLETED)
    await quiet(other)
    await assert_at_rest(ledger, late)


async def test_one_that_is_asked_again_for_a_fallback_waits_no_longer_in_all(ledger: Ledger, late: LateGauge) -> None:
    first, second = request(), request(patience=0.05)
    await ledger.admit(first, KEY, 1)
    assert not (await ledger.admit(second, KEY, 1)).admitted
    waited = second.waited

    assert not (await asyncio.wait_for(ledger.admit(second, KEY, 1), 5)).admitted
    assert (second.waited, late._lines, ledger.line.waiting(KEY)) == (waited, {}, [])
    await ledger.end(first, Ending.COMPLETED)
    await assert_at_rest(ledger, late)


async def test_under_a_cap_of_nought_nobody_waits_for_a_turn_that_never_comes(ledger: Ledger, late: LateGauge) -> None:
    assert not (await asyncio.wait_for(ledger.admit(request(), KEY, 0), 5)).admitted
    await assert_at_rest(ledger, late)


class Told(Observer):
    """What an observer hears of the line."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.parted: list[Parting] = []
        self.seconds: list[float] = []

    def waits(self, request: Observed, waiting: int) -> None:
        self.waiting.append(waiting)

    def waits_no_more(self, request: Observed, parting: Parting, waited: float) -> None:
        self.parted.append(parting)
        self.seconds.append(waited)


@pytest.fixture
def told(ledger: Ledger) -> Told:
    told = Told()
    ledger.registry.observer.add(told)
    return told


async def test_who_is_admitted_at_once_is_told_of_as_nobody_who_waits(ledger: Ledger, told: Told) -> None:
    one = request()
    await ledger.admit(one, KEY, 1)
    await ledger.end(one, Ending.COMPLETED)
    assert (told.waiting, told.parted) == ([], [])


async def test_observers_are_told_how_many_wait_and_who_was_served_or_found_the_line_full(
    ledger: Ledger, told: Told
) -> None:
    first, second, third, fourth = request(), request(), request(), request(most=2)
    await ledger.admit(first, KEY, 1)
    tasks = [await waiting(ledger, one, count) for count, one in enumerate((second, third), 1)]
    assert not (await ledger.admit(fourth, KEY, 1)).admitted
    assert (told.waiting, told.parted) == ([1, 2], [Parting.FULL])
    for one, task in zip((first, second), tasks, strict=True):
        await ledger.end(one, Ending.COMPLETED)
        assert (await task).admitted
    assert (told.waiting, told.parted) == ([1, 2], [Parting.FULL, Parting.SERVED, Parting.SERVED])


async def test_one_whose_time_is_up_is_told_of_with_the_time_that_it_waited(ledger: Ledger, told: Told) -> None:
    await ledger.admit(request(), KEY, 1)
    await ledger.admit(request(patience=0.05), KEY, 1)
    assert (told.parted, told.seconds[0] >= 0.05) == ([Parting.TIMED_OUT], True)


@pytest.mark.parametrize("how", ["its client hangs up", "its task is cancelled", "it ends otherwise"])
async def test_one_that_leaves_is_told_of_once(
    ledger: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    first, second, client = request(), request(), Client()
    second.served = client  # type: ignore[assignment]
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    if how == "its client hangs up":
        client.leaves.set()
    elif how == "its task is cancelled":
        task.cancel()
    else:
        ledger.end_soon(second, Ending.TASK_ENDED)
        await ledger.end(first, Ending.COMPLETED)
    await asyncio.wait([task], timeout=5)
    assert (told.waiting, told.parted) == ([1], [Parting.LEFT])


@pytest.mark.parametrize("choice", ["local", "open", "closed"])
async def test_one_whose_redis_goes_is_told_of_as_such_and_one_that_comes_then_not_at_all(
    late: LateGauge, monkeypatch: pytest.MonkeyPatch, choice: Any
) -> None:
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    ledger = Ledger(Registry(), late, Settings(redis_timeout=5, on_redis_error=choice))
    told = Told()
    ledger.registry.observer.add(told)
    await ledger.admit(request(), KEY, 1)
    tasks = [await waiting(ledger, request(), count) for count in (1, 2)]
    late.away = True
    await asyncio.wait(tasks, timeout=5)
    assert told.parted == [Parting.REDIS_AWAY] * 2
    with contextlib.suppress(CountUnknownError):
        await ledger.admit(request(), KEY, 1)
    assert (told.waiting, told.parted) == ([1, 2], [Parting.REDIS_AWAY] * 2)
    for task in tasks:
        task.exception()


async def test_one_whose_line_is_kept_no_more_has_waited_and_is_refused(
    ledger: Ledger, late: LateGauge, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told of as one that found the line full, it would be counted as waiting for ever."""
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.01)
    await ledger.admit(request(), KEY, 1)
    task = await waiting(ledger, request())
    late.lined = False
    late._lines.clear()
    assert not (await asyncio.wait_for(task, 5)).admitted
    assert (told.waiting, told.parted) == ([1], [Parting.REDIS_AWAY])


async def test_a_slot_that_was_waited_for_is_as_old_as_it_is_held(ledger: Ledger, late: LateGauge) -> None:
    first, second = request(), request()
    await ledger.admit(first, KEY, 1)
    task = await waiting(ledger, second)
    await asyncio.sleep(0.1)
    await ledger.end(first, Ending.COMPLETED)
    assert (await task).admitted
    assert second.lease is not None
    assert ledger.registry.ages(KEY)[second.lease.id] < 0.1 <= second.waited
    [holder] = Holdings(ledger.registry).now().holders.values()  # type: ignore[union-attr]
    assert holder.waited >= 0.1

    # As if all that hold slots had waited for a hundred seconds.
    ledger._turnover._wall = lambda: time.time() + 100
    answer = await ledger.admit(request(patience=0.05), KEY, 1)
    assert (answer.admitted, answer.retry_after) == (False, 1)
    await ledger.end(second, Ending.COMPLETED)
    await assert_at_rest(ledger, late)
