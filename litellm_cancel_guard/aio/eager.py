"""Tasks that begin at once: Python 3.12's ``eager_start``, on 3.11, too.

A task is begun in the next turn of the event loop. On a busy worker a turn lasts as long as what all other requests
have to do, and a stream's first content is late by every one of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

if sys.version_info < (3, 12):
    # Documented for those who write tasks of their own: docs.python.org/3.11/library/asyncio-extending.html.
    from asyncio.tasks import _enter_task, _leave_task


def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Return a task that runs *work*, which has run up to where it first waits; on 3.10 it has not begun.

    A task of 3.10 can't be given the context in which its beginning has run.
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)
    if sys.version_info < (3, 11):
        return loop.create_task(work)
    context = copy_context()
    begun = _Begun(work)
    task: asyncio.Task[None] = asyncio.Task(begun, loop=loop, context=context)
    caller = asyncio.current_task(loop)
    if caller is not None:
        _leave_task(loop, caller)
    _enter_task(loop, task)
    try:
        context.run(begun.begin)
    finally:
        _leave_task(loop, task)
        if caller is not None:
            _enter_task(loop, caller)
    return task


class _Begun(Coroutine[Any, Any, None]):
    """A coroutine that has run up to where it first waits; its task first asks it what it waits for."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._waits_for: Any = None
        self._end: BaseException | None = None

    def begin(self) -> None:
        try:
            self._waits_for = self._work.send(None)
        except BaseException as end:
            # A cancellation, too, is the task's and not the caller's.
            self._end = end

    def _raise_end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            raise end

    def send(self, value: Any) -> Any:
        self._raise_end()
        waits_for, self._waits_for = self._waits_for, None
        return self._work.send(value) if waits_for is None else waits_for

    def throw(self, *exception: Any) -> Any:
        self._raise_end()
        self._waits_for = None
        return self._work.throw(*exception)

    def __await__(self) -> Any:
        return self._work.__await__()
