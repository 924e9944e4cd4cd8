"""Cancel a coroutine at one chosen suspension point: the sweep over all of them finds what no sleep would."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator


@types.coroutine
def _stepped(coro: Coroutine[Any, Any, Any], cancel_at: int, seen: list[int]) -> Generator[Any, Any, Any]:
    thrown: BaseException | None = None
    while True:
        try:
            waiting_for = coro.send(None) if thrown is None else coro.throw(thrown)
        except StopIteration as stop:
            return stop.value
        if len(seen) == cancel_at:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        seen.append(len(seen))
        thrown = None
        try:
            yield waiting_for
        except BaseException as error:
            thrown = error


async def cancelled_at(make: Callable[[], Coroutine[Any, Any, Any]], step: int) -> bool:
    """Run a fresh coroutine and cancel it at suspension point *step*; return whether it had so many."""
    seen: list[int] = []

    async def drive() -> Any:
        return await _stepped(make(), step, seen)

    task = asyncio.get_running_loop().create_task(drive())
    await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    return len(seen) > step
