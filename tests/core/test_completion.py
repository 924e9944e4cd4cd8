"""What was begun is finished although its caller is cancelled, once or often, natively or by anyio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
import weakref
from typing import TYPE_CHECKING

import anyio
import pytest

from litellm_cancel_guard.aio.completion import Mark, begin, begin_now, finish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.aio import completion


class Work:
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.done = False

    async def run(self) -> str:
        self.started.set()
        await self.go_on.wait()
        self.done = True
        return "result"


async def test_it_waits_for_the_result() -> None:
    work = Work()
    work.go_on.set()
    task = begin(work.run)

    assert await finish(task, within=5)
    assert task.result() == "result"


async def test_three_cancellations_do_not_stop_it_and_are_raised_afterwards() -> None:
    work = Work()
    caller = asyncio.create_task(finish(begin(work.run), within=5))
    await work.started.wait()

    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    assert (caller.done(), work.done) == (False, False)
    work.go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert work.done


async def test_a_cancelled_anyio_scope_does_not_make_it_spin() -> None:
    work = Work()
    turns = 0

    async def finish_it() -> None:
        await finish(begin(work.run), within=5)

    with anyio.move_on_after(0) as scope:
        asyncio.get_running_loop().call_later(0.1, work.go_on.set)
        cpu = time.process_time()
        await finish_it()
        turns += 1
    assert work.done
    assert scope.cancel_called
    assert time.process_time() - cpu < 0.08


async def test_late_work_goes_on_in_the_background() -> None:
    work = Work()
    task = begin(work.run)

    assert not await finish(task, within=0.01)
    work.go_on.set()
    assert await finish(task, within=5)
    assert task.result() == "result"


async def test_a_cancelled_caller_is_let_go_at_the_deadline() -> None:
    work = Work()
    task = begin(work.run)
    caller = asyncio.create_task(finish(task, within=0.05))
    await work.started.wait()
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not task.is_set()
    work.go_on.set()
    assert await finish(task, within=5)


async def test_its_error_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await finish(begin(fails), within=5)


async def test_an_error_never_hides_a_cancellation() -> None:
    go_on = asyncio.Event()

    async def fails() -> None:
        await go_on.wait()
        raise ValueError("no")

    caller = asyncio.create_task(finish(begin(fails), within=5))
    await asyncio.sleep(0)
    caller.cancel()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_who_waits_for_it_goes_on_in_the_turn_after_its_end() -> None:
    work, turns = Work(), 0
    caller = asyncio.create_task(finish(begin(work.run), within=5))
    await work.started.wait()
    work.go_on.set()

    while not caller.done():
        await asyncio.sleep(0)
        turns += 1
    # The work ends in the first, its caller in the second, and this loop sees it in the third at the latest.
    assert turns <= 3


async def test_work_begun_at_once_has_begun_where_python_can() -> None:
    work = Work()
    task = begin_now(work.run)

    assert work.started.is_set() == (sys.version_info >= (3, 11))
    work.go_on.set()
    assert await finish(task, within=5)
    assert task.result() == "result"


async def test_work_that_never_waits_is_finished_like_any_other() -> None:
    async def fails() -> None:
        raise ValueError("no")

    async def works() -> int:
        return 1

    task = begin_now(works)
    assert await finish(task, within=5)
    assert task.result() == 1
    with pytest.raises(ValueError, match="no"):
        await finish(begin_now(fails), within=5)


async def test_a_mark_is_waited_for_no_longer_than_allowed() -> None:
    mark = Mark()

    assert not await mark.wait(0)
    assert not await mark.wait(0.01)
    mark.set()
    assert await mark.wait(0)
    assert await mark.wait(None)


async def test_work_that_is_given_up_ends_where_it_stands() -> None:
    work = Work()
    task = begin(work.run)
    await work.started.wait()
    task.cancel()

    assert await finish(task, within=5)
    assert not work.done
    with pytest.raises(asyncio.CancelledError):
        task.result()


class Stream:
    """What the frames of a failed work hold."""


async def by_finish(work: completion.Work[None]) -> None:
    await finish(work, within=5)


async def by_result(work: completion.Work[None]) -> None:
    await work.wait(5)
    work.result()


async def failed(ask: Callable[[completion.Work[None]], Awaitable[None]]) -> weakref.ref[Stream]:
    stream = Stream()

    async def fail() -> None:
        raise ValueError(stream)

    with contextlib.suppress(ValueError):
        await ask(begin(fail))
    return weakref.ref(stream)


@pytest.mark.parametrize("ask", [by_finish, by_result])
async def test_what_failed_is_gone_without_the_garbage_collector(
    ask: Callable[[completion.Work[None]], Awaitable[None]],
) -> None:
    """LiteLLM's streams set context variables when destroyed: in a collection that can crash the interpreter."""
    gc.disable()
    try:
        stream = await failed(ask)
        await asyncio.sleep(0)
        assert stream() is None
    finally:
        gc.enable()
