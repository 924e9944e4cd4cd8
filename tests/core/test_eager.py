"""A task that has begun at once is a task like any other from there on."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar

import anyio
import pytest

from litellm_cancel_guard.aio import eager

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no task that begins at once")

_name: ContextVar[str] = ContextVar("name", default="the caller's")


async def test_it_has_run_up_to_where_it_waits_and_goes_on_in_its_own_turn() -> None:
    seen: list[str] = []
    go_on: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("begun")
        seen.append(await go_on)

    task = eager.start(work())
    assert seen == ["begun"]
    go_on.set_result("answered")
    await task
    assert seen == ["begun", "answered"]


async def test_its_beginning_runs_in_its_own_task_and_context() -> None:
    caller = asyncio.current_task()
    tasks: list[asyncio.Task[None] | None] = []

    async def work() -> None:
        token = _name.set("the task's")
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        assert _name.get() == "the task's"
        _name.reset(token)

    task = eager.start(work())
    assert asyncio.current_task() is caller
    assert _name.get() == "the caller's"
    await task
    assert tasks == [task, task]


async def test_a_timeout_that_its_beginning_has_set_ends_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        with anyio.move_on_after(0.01) as scope:
            await asyncio.Event().wait()
        ended.append("timed out" if scope.cancelled_caught else "went on")

    await eager.start(work())
    assert ended == ["timed out"]


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_it_can_be_cancelled_where_it_waits(turns: int) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("where it stood")

    task = eager.start(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["where it stood"]


async def test_an_error_after_its_beginning_is_the_tasks() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    task = eager.start(work())
    with pytest.raises(ValueError, match="later"):
        await task


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_what_is_raised_before_it_first_waits_is_the_tasks_too(error: type[BaseException]) -> None:
    async def work() -> None:
        raise error

    task = eager.start(work())
    with pytest.raises(error):
        await task
    assert task.cancelled() == (error is asyncio.CancelledError)


async def test_cancelled_in_its_first_turn_it_ends_as_it_began() -> None:
    async def work() -> None:
        raise ValueError("at once")

    task = eager.start(work())
    task.cancel()
    with pytest.raises(ValueError, match="at once"):
        await task


async def test_a_beginning_that_gives_way_is_not_run_again_in_the_same_turn() -> None:
    turns: list[int] = []

    async def work() -> None:
        turns.append(0)
        await asyncio.sleep(0)
        turns.append(1)
        await asyncio.sleep(0)
        turns.append(2)

    task = eager.start(work())
    assert turns == [0]
    await asyncio.sleep(0)
    assert turns == [0, 1]
    await task
    assert turns == [0, 1, 2]


async def test_one_that_is_over_at_once_is_done_a_turn_later_and_may_be_cancelled() -> None:
    async def work() -> None:
        """Wait for nothing."""

    task, cancelled = eager.start(work()), eager.start(work())
    cancelled.cancel()
    await asyncio.wait([task, cancelled])
    assert task.result() is None
    assert cancelled.done()


def test_it_can_begin_outside_of_any_task() -> None:
    done: list[asyncio.Task[None] | None] = []

    async def work() -> None:
        done.append(asyncio.current_task())
        await asyncio.sleep(0)
        done.append(asyncio.current_task())

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().call_soon(lambda: tasks.append(eager.start(work())))
        await asyncio.sleep(0)
        await tasks[0]
        assert done == [tasks[0], tasks[0]]

    asyncio.run(main())
