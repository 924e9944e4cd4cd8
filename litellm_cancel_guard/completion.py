"""Finish what was begun although we are being cancelled. Nothing else may swallow a ``CancelledError``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# asyncio keeps only weak references to tasks: without this a release that outlives its request may be collected.
_stragglers: set[asyncio.Task[Any]] = set()


def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Run *work* as a task of its own that no caller's cancellation reaches, and keep it alive."""
    task = asyncio.get_running_loop().create_task(work)
    _stragglers.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _stragglers.discard(task)
    # Work that was late has nobody left who would take its exception, and asyncio would print a traceback.
    if not task.cancelled():
        task.exception()


async def insist(make: Callable[[], Coroutine[Any, Any, T]], once_more: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do what *make* makes, and if that is cancelled, what *once_more* makes; for work that is harmless to repeat.

    When an event loop ends, it cancels every task once and waits for it: a release that is just on its way would be
    lost with its connection. What *once_more* makes has to be short, since the server's end waits for it.
    """
    try:
        return await make()
    except asyncio.CancelledError:
        return await once_more()


async def finish(task: asyncio.Future[Any], *, within: float) -> bool:
    """Wait for *task* although the caller is being cancelled.

    Args:
        task: begun with `begin`, or a future; it goes on in the background if it is late.
        within: seconds to wait at most, cancelled or not.

    Returns:
        Whether the task is done.

    Raises:
        asyncio.CancelledError: the cancellation that arrived meanwhile, raised afterwards and never lost.
        Exception: what the task raised, if it is done and no cancellation arrived.
    """
    deadline = asyncio.get_running_loop().time() + within
    cancellation: asyncio.CancelledError | None = None
    try:
        if not task.done() and within > 0:
            await asyncio.wait((task,), timeout=within)
    except asyncio.CancelledError as error:
        cancellation = await _sit_out(task, deadline, error)
    failure = task.exception() if task.done() and not task.cancelled() else None
    if cancellation is not None:
        raise cancellation from failure
    if failure is not None:
        raise failure
    return task.done()


async def _sit_out(
    task: asyncio.Future[Any], deadline: float, cancellation: asyncio.CancelledError
) -> asyncio.CancelledError:
    """Wait for *task* until *deadline* on the monotonic clock, and return the cancellation to raise then."""
    # A cancelled anyio scope cancels again at every turn of the loop, so waiting alone would spin; the shield stops
    # that. It does not stop a native Task.cancel(), of which there may be several: the loop outlives those.
    with anyio.CancelScope(shield=True):
        while not task.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait((task,), timeout=left)
            except asyncio.CancelledError as error:
                cancellation = error
    return cancellation
