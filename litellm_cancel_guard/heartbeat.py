"""One task per worker that renews every lease it holds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("LiteLLM Proxy")


class Heartbeat:
    """Beats from the first lease until its event loop ends, and never dies of an exception.

    If it is late by more than a lease, the leases lapse in Redis and are not taken back: the cap holds.
    """

    def __init__(
        self, renew: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]], every: float
    ) -> None:
        self._renew = renew
        self._give_back = give_back
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start beating on the running loop, unless it does already."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._beat_until_the_loop_ends())

    async def _beat_until_the_loop_ends(self) -> None:
        try:
            await self._beat()
        finally:
            # A worker that is stopped cancels its tasks, and the request tasks among them get no turn to release.
            await self._give_back()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._every
        while True:
            await asyncio.sleep(due - loop.time())
            late = loop.time() - due
            if late > self._every:
                log.warning("cancel_guard: the heartbeat is %.1f s late: the event loop was blocked", late)
            try:
                await self._renew()
            except (GaugeUnavailableError, GaugeCorruptError) as error:
                log.warning("cancel_guard: could not renew the slots held here: %s", error)
            except Exception:
                log.exception("cancel_guard: a heartbeat failed; the next one follows")
            due = max(due + self._every, loop.time())
