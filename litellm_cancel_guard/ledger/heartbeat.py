"""One task per worker that renews every lease it holds."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

import anyio

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Heartbeat:
    """Beats from the first lease until its event loop ends, and never dies of an exception.

    If it is late by more than a lease, the leases lapse in Redis and are not taken back: the cap holds.
    """

    def __init__(
        self, renew: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]], every: Callable[[], float]
    ) -> None:
        """Beat by *renew*; *every* returns the seconds between two beats, and may change its mind: see `hurry`."""
        self._renew = renew
        self._give_back = give_back
        self._every = every
        self.observer = Observer()
        self._task: asyncio.Task[None] | None = None
        self._hurried = asyncio.Event()
        self._hurried_at = 0.0

    def start(self) -> bool:
        """Start beating on the running loop, unless it does already; return whether it was started."""
        loop = asyncio.get_running_loop()
        if self._task is not None and not self._task.done() and self._task.get_loop() is loop:
            return False
        self._hurried = asyncio.Event()
        # Not in the context of the request that has it started: that would be kept for the life of the worker, and each
        # beat's commands hang on that request's trace.
        self._task = Context().run(loop.create_task, self._beat_until_the_loop_ends())
        return True

    def hurry(self) -> None:
        """Look again how long to wait for the next beat."""
        if self._task is not None:
            self._hurried_at = self._task.get_loop().time()
        self._hurried.set()

    async def _beat_until_the_loop_ends(self) -> None:
        try:
            await self._beat()
        finally:
            # A worker that is stopped cancels its tasks, and the request tasks among them get no turn to release.
            await self._give_back()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        last, pace = loop.time(), self._every()
        while True:
            due = await self._wait_for_the_next(last, pace)
            # A beat that is late by chance must not delay those after it, one that was missed is not caught up on.
            last, pace = max(due, loop.time() - self._every()), self._every()
            try:
                await self._renew()
            except (GaugeUnavailableError, GaugeCorruptError) as error:
                log.warning("cancel_guard: could not renew the slots held here: %s", error)
            except Exception:
                log.exception("cancel_guard: a heartbeat failed; the next one follows")

    async def _wait_for_the_next(self, last: float, at_most: float) -> float:
        """Wait for the beat after that of *last*, whose leases lapse as was told then: no longer than *at_most*."""
        loop = asyncio.get_running_loop()
        known = loop.time()
        while (due := max(known, last + min(at_most, self._every()))) > loop.time():
            self._hurried.clear()
            with anyio.move_on_after(due - loop.time()):
                await self._hurried.wait()
                # That it is due earlier is known from then on.
                known = max(known, min(due, self._hurried_at))
        late = loop.time() - due
        self.observer.beat(late)
        if late > self._every():
            log.warning("cancel_guard: the heartbeat is %.1f s late: the event loop was blocked", late)
        return due
