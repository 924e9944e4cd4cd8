"""The guard's place in LiteLLM's list of callbacks: before the limiter, and around what reads streams (F9, F14).

Where LiteLLM goes by another list, or by a copy, the limiter may decide before the guard is asked, and LiteLLM counts
alone while the guard says that it does: who is asked first is seen of the first requests.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.callbacks import callbacks as listed
from litellm_cancel_guard.host.callbacks import put
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.limiter.counting import counted_by_litellm
from litellm_cancel_guard.lease.graft import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Board, Touch

# A worker that is in force is not given up for what a single request shows.
_REQUESTS = 2

# The task for which the limiter has decided on what the guard had not been asked about.
_decided_in: ContextVar[int] = ContextVar("litellm_cancel_guard_decided_in", default=0)


class Order:
    """Whether the guard is asked before LiteLLM's limiter, as far as the first requests of a worker tell.

    Args:
        wrong: is told, once, why it is not.
    """

    def __init__(self, wrong: Callable[[str], None]) -> None:
        self._wrong = wrong
        self._known = False
        self._late = 0
        self._under_way: WeakSet[asyncio.Task[Any]] = WeakSet()

    def begin(self) -> None:
        """Go by the requests that come from now on: the hooks of those under way go by the list as it was."""
        self._known, self._late = False, 0
        with suppress(RuntimeError):  # there is no event loop yet, and so no request
            self._under_way = WeakSet(asyncio.all_tasks())

    def late(self) -> bool:
        """Tell whether the request that the guard is asked about has been decided on; the running task serves it."""
        if self._known:
            return False
        task = asyncio.current_task()
        if _decided_in.get() != id(task):
            return False
        if task in self._under_way:
            return True
        self._late += 1
        if self._late == _REQUESTS:
            self._known = True
            self._wrong("LiteLLM's limiter decides before the guard is asked")
        return True

    def decides(self, *, guarded: bool) -> None:
        """Note that the limiter decides on that request, and whether the guard had been asked about it."""
        if guarded:
            # Inside a request that the guard was asked about too late, it is asked in time about a tool's call.
            self._known = self._known or not _decided_in.get()
        elif not self._known:
            _decided_in.set(id(asyncio.current_task()))


def put_in_order(guard: Any, outer: Any, limiter: Any, board: Board, touch: Touch) -> bool:
    """Put *guard* before *limiter*, and *outer* around the guardrails; return whether there were any.

    Taken out, *outer* leaves the list; the guard's own callback is the operator's and stays.

    Raises:
        NotFoundError: LiteLLM keeps its callbacks in another way.
    """
    if not isinstance(listed(), list):
        raise NotFoundError(f"litellm.callbacks is no list, but {type(listed()).__name__}")
    moved = precede(listed(), guard, limiter)
    if moved is not None:
        counted_by_litellm()
        put(moved)
    if precede(listed(), guard, limiter) is not None:
        raise NotFoundError("litellm.callbacks stays in the order that it was in")
    board.note("slots.order", State.IN_FORCE)
    put(enclose(listed(), guard, outer, limiter))
    touch.when_out(lambda: put([callback for callback in listed() if callback is not outer]))
    enclosed = outer in listed()
    none = "" if enclosed else "no guardrail looks at answers"
    board.note("stream.enclosing", State.IN_FORCE if enclosed else State.NOT_NEEDED, none)
    return enclosed


def precede(callbacks: list[Any], guard: Any, limiter: Any) -> list[Any] | None:
    """Return LiteLLM's callbacks with *guard* before *limiter* (F9), or None where they are in that order already.

    A new list: a request whose hooks are being run through the old one would come to the limiter twice.
    """
    try:
        here, there = callbacks.index(guard), callbacks.index(limiter)
    except ValueError:
        return None
    if here < there:
        return None
    others = [*callbacks[:here], *callbacks[here + 1 :]]
    return [*others[:there], guard, *others[there:]]


def enclose(callbacks: list[Any], guard: Any, outer: Any, limiter: Any) -> list[Any] | None:
    """Return LiteLLM's callbacks with *outer* around those that read what *guard* hands on, or None if none does.

    Stream hooks nest in the order of the list, and guardrails come behind the other callbacks of the config (F14).
    """
    try:
        here, there = callbacks.index(guard), callbacks.index(limiter)
    except ValueError:
        return None
    if outer in callbacks or not any(map(_reads_streams, callbacks[here + 1 : there])):
        return None
    return [*callbacks[:there], outer, *callbacks[there:]]


def _reads_streams(callback: Any) -> bool:
    kinds = (kind for kind in type(callback).__mro__ if kind.__module__ not in facts.BASES)
    return any(name in vars(kind) for kind in kinds for name in facts.READING)
